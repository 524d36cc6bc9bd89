-- Count what stands under some labels of one counter under "(other)" instead.
--
-- KEYS[1]  hash     the site's cursor: summary -> stream id
-- KEYS[2]  channel  the site's announcements
-- KEYS[3]  hash     the counter's hits
-- KEYS[4]  hash     the counter's bytes
-- ARGV[1]  summary  whose counter it is
-- ARGV[2…] labels
--
-- Publishes what apply.lua publishes, quiet: walls read their numbers anew.
-- Returns how many of the labels there were.
local OTHER = '(other)'
local moved = 0
for i = 2, #ARGV do
  for _, key in ipairs({KEYS[3], KEYS[4]}) do
    local number = redis.call('HGET', key, ARGV[i])
    if number then
      redis.call('HINCRBY', key, OTHER, number)
      redis.call('HDEL', key, ARGV[i])
      moved = moved + (key == KEYS[3] and 1 or 0)
    end
  end
end
if moved > 0 then
  local cursor = redis.call('HGET', KEYS[1], ARGV[1]) or '0-0'
  redis.call('PUBLISH', KEYS[2], cmsgpack.pack({{ARGV[1]}, cursor, cursor, 0, '[]', {}, 1}))
end
return moved
