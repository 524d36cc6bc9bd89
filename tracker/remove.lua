-- Remove hits from a site's raw log, by who may still do so.
--
-- KEYS[1]  stream   the site's raw log
-- KEYS[2]  stream   the copy that will take its place; its first entry names who makes it
-- ARGV[1]  the name of who asks
-- ARGV[2…] stream ids
--
-- Returns how many hits went, or -1 where another makes the copy: he may have copied these hits.
local mark = redis.call('XRANGE', KEYS[2], '0-1', '0-1')[1]
if not mark or mark[2][2] ~= ARGV[1] then
  return -1
end
return redis.call('XDEL', KEYS[1], unpack(ARGV, 2))
