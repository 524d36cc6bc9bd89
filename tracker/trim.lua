-- Forget the oldest hits of a site, but none that is not counted, and remember the last of them.
--
-- KEYS[1]  stream  the site's raw log
-- KEYS[2]  string  stream id of the last hit that was forgotten
-- ARGV[1]  stream id before which hits are too old; none is beyond the oldest cursor
-- ARGV[2]  hits that the log keeps at most, 0 for any number
-- ARGV[3]  the oldest cursor: what comes after it is not counted
--
-- Drops at most MOST hits, so that Redis is not busy for long and holds few of them twice: call it
-- until nothing goes. Returns the number of hits forgotten.
local MOST = 1000

-- The oldest hits before that id.
local function before(id, most)
  return id == '0-0' and {} or redis.call('XRANGE', KEYS[1], '-', '(' .. id, 'COUNT', most)
end

local keep, due = tonumber(ARGV[2]), before(ARGV[1], MOST)
local over = math.min(redis.call('XLEN', KEYS[1]) - keep, MOST)
if keep > 0 and over > #due then
  due = before(ARGV[3], over)
end
if #due == 0 then
  return 0
end
local last = due[#due][1]
local time, number = string.match(last, '(%d+)-(%d+)')
local known = string.match(redis.call('GET', KEYS[2]) or '0-0', '%d+') -- later where the log once began anew
redis.call('XTRIM', KEYS[1], 'MINID', '=', string.format('%s-%d', time, number + 1))
if tonumber(known) <= tonumber(time) then
  redis.call('SET', KEYS[2], last)
end
return #due
