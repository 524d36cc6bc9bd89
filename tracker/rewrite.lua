-- Copy a piece of a site's raw log; with the last piece the copy takes its place.
--
-- What was removed from a stream stays in its memory and in the server's files, until all that stands in
-- the same node of the stream is gone. A copy has none of it. The hits keep their ids.
--
-- KEYS[1]  stream   the site's raw log
-- KEYS[2]  stream   the copy; its first entry names who makes it
-- ARGV[1]  the name of who asks
-- ARGV[2]  stream id of the last hit that is copied, 0-1 for none
-- ARGV[3]  hits to copy at most
-- ARGV[4]  seconds after which a copy that nobody finishes goes by itself
--
-- Returns the stream id of the last hit that is copied, '' where the copy is in place, or '-' where
-- another makes the copy now.
local mark = redis.call('XRANGE', KEYS[2], '0-1', '0-1')[1]
if not mark or mark[2][2] ~= ARGV[1] then
  return '-'
end
local hits = redis.call('XRANGE', KEYS[1], '(' .. ARGV[2], '+', 'COUNT', ARGV[3])
for _, hit in ipairs(hits) do
  redis.call('XADD', KEYS[2], hit[1], unpack(hit[2]))
end
redis.call('EXPIRE', KEYS[2], ARGV[4])
if #hits == tonumber(ARGV[3]) then
  return hits[#hits][1]
end
if redis.call('EXISTS', KEYS[1]) == 0 then
  redis.call('DEL', KEYS[2])
  return ''
end

-- Hits may have been forgotten for their age while the first of them were copied.
local first = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)[1]
redis.call('XDEL', KEYS[2], '0-1')
if first then
  redis.call('XTRIM', KEYS[2], 'MINID', '=', first[1])
else
  redis.call('XTRIM', KEYS[2], 'MAXLEN', '=', 0)
end

-- Ids go on where they were, also where the last hit was removed.
local info, last = redis.call('XINFO', 'STREAM', KEYS[1]), '0-1'
for i = 1, #info, 2 do
  if info[i] == 'last-generated-id' then
    last = info[i + 1]
  end
end
redis.call('XSETID', KEYS[2], last)
redis.call('PERSIST', KEYS[2])
redis.call('UNLINK', KEYS[1])
redis.call('RENAME', KEYS[2], KEYS[1])
return ''
