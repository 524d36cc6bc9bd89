-- Forget the oldest hits of a site, but none that is not counted, and remember up to where.
--
-- KEYS[1]  stream  the site's raw log
-- KEYS[2]  string  stream id before which hits have been forgotten
-- ARGV[1]  stream id before which hits are too old; none is beyond the oldest cursor
-- ARGV[2]  hits that the log keeps at most, 0 for any number
-- ARGV[3]  the oldest cursor: what comes after it is not counted
--
-- Returns the number of hits forgotten.
local most = tonumber(ARGV[2])
local gone = redis.call('XTRIM', KEYS[1], 'MINID', '~', ARGV[1])
if most > 0 and redis.call('XLEN', KEYS[1]) > most then
  -- As few as LOOK hits wait: then the newest `most` hold all that is not counted.
  local LOOK = 10000
  if #redis.call('XRANGE', KEYS[1], '(' .. ARGV[3], '+', 'COUNT', LOOK) < LOOK then
    gone = gone + redis.call('XTRIM', KEYS[1], 'MAXLEN', '~', most)
  end
end
if gone > 0 then
  local first = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)[1]
  redis.call('SET', KEYS[2], first and first[1] or ARGV[1])
end
return gone
