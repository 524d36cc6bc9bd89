-- Forget the oldest hits of a site, but none that is not counted, and remember up to where.
--
-- KEYS[1]  stream  the site's raw log
-- KEYS[2]  string  stream id before which hits have been forgotten
-- ARGV[1]  stream id before which hits are too old; none is beyond the oldest cursor
-- ARGV[2]  hits that the log keeps at most, 0 for any number
-- ARGV[3]  the oldest cursor: what comes after it is not counted
--
-- Goes by whole nodes of the stream and drops some 20,000 hits at most, so that Redis is not busy for
-- long: call it until nothing goes. Returns the number of hits forgotten.
local MOST = 10000 -- hits of one command
local keep = tonumber(ARGV[2])
local gone = redis.call('XTRIM', KEYS[1], 'MINID', '~', ARGV[1], 'LIMIT', MOST)
local over = redis.call('XLEN', KEYS[1]) - keep
if keep > 0 and over > 0 then
  gone = gone + redis.call('XTRIM', KEYS[1], 'MINID', '~', ARGV[3], 'LIMIT', math.min(over, MOST))
end
if gone > 0 then
  local first = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)[1]
  redis.call('SET', KEYS[2], first and first[1] or ARGV[1])
end
return gone
