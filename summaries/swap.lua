-- Put the right numbers in the place of one counter's, at once.
--
-- KEYS[1]  hash     the site's cursor: summary -> stream id
-- KEYS[2]  channel  the site's announcements
-- KEYS[3]  hash     the counter's hits
-- KEYS[4]  hash     the counter's bytes
-- KEYS[5]  string   which removal of a person was begun last
-- ARGV[1]  MessagePack, an array:
--   1 summary  whose counter it is
--   2 cursor   the stream id up to which the numbers count: that of the summary must be the same
--   3 expiry   in seconds since 1970 or 0
--   4 labels   {label, …}, none where there is no hit
--   5 hits     {hits, …}
--   6 bytes    {bytes, …}
--   7 removal  what was at KEYS[5] when the recount began, empty for nothing: the same must be there
--
-- Publishes what apply.lua publishes, quiet: walls read their numbers anew.
-- Returns 1, 0 where the summary has counted on meanwhile, -1 where somebody is removed meanwhile.
local CHUNK = 2000 -- fields of one command; unpack fails beyond some 8,000 values
local counter = cmsgpack.unpack(ARGV[1])
local summary, cursor, expiry = counter[1], counter[2], counter[3]

if (redis.call('HGET', KEYS[1], summary) or '0-0') ~= cursor then
  return 0
elseif (redis.call('GET', KEYS[5]) or '') ~= counter[7] then
  return -1
end

-- Sets the labels whose number is not 0; the key expires then, where it does.
local function write(key, labels, numbers)
  local pairs = {}
  for i, label in ipairs(labels) do
    if numbers[i] > 0 then
      pairs[#pairs + 1], pairs[#pairs + 2] = label, string.format('%d', numbers[i])
    end
  end
  for first = 1, #pairs, 2 * CHUNK do
    redis.call('HSET', key, unpack(pairs, first, math.min(first + 2 * CHUNK - 1, #pairs)))
  end
  if #pairs > 0 and expiry > 0 then
    redis.call('EXPIREAT', key, expiry)
  end
end

redis.call('DEL', KEYS[3], KEYS[4])
write(KEYS[3], counter[4], counter[5])
write(KEYS[4], counter[4], counter[6])
redis.call('PUBLISH', KEYS[2], cmsgpack.pack({{summary}, cursor, cursor, 0, '[]', {}, 1}))
return 1
