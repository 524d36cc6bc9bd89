-- Bring a site's cursors and its raw log together again where hits are gone that were counted.
--
-- The log may have been deleted, or set aside: what the counters hold is then all there is of these hits. A
-- log that begins anew takes its ids from the machine's clock. Was that set back meanwhile, they are smaller
-- than the cursors, and nobody would ever look at these hits.
--
-- KEYS[1]  hash    the site's cursors: summary -> stream id
-- KEYS[2]  stream  the site's raw log
-- KEYS[3]  string  stream id of the last hit that was forgotten
-- KEYS[4]  set     counters to be put right from the raw log
--
-- Returns 0 where all is well, 1 where hits that were counted are gone, 2 where the cursors were put before
-- the log's first hit, too; and how many counters are to be put right.
local function parts(id)
  local time, number = string.match(id, '^(%d+)%-(%d+)$')
  return tonumber(time), tonumber(number)
end

local function less(one, other)
  local time, number = parts(one)
  local times, numbers = parts(other)
  return time < times or (time == times and number < numbers)
end

-- The id before that one.
local function before(id)
  local time, number = parts(id)
  if number > 0 then
    return string.format('%.0f-%.0f', time, number - 1)
  end
  return string.format('%.0f-18446744073709551615', time - 1)
end

local function last_id()
  local info = redis.call('XINFO', 'STREAM', KEYS[2])
  for i = 1, #info, 2 do
    if info[i] == 'last-generated-id' then
      return info[i + 1]
    end
  end
end

local holes = redis.call('SCARD', KEYS[4])
local cursors, lead = redis.call('HGETALL', KEYS[1]), '0-0'
for i = 2, #cursors, 2 do
  lead = less(lead, cursors[i]) and cursors[i] or lead
end
local first = redis.call('XRANGE', KEYS[2], '-', '+', 'COUNT', 1)[1]
local forgotten = redis.call('GET', KEYS[3]) or '0-0'
local behind = first and less(last_id(), lead)
local gone = (behind or not first or less(lead, first[1])) and less(forgotten, lead)
if gone then
  redis.call('SET', KEYS[3], lead)
end
if not behind then
  return {gone and 1 or 0, holes}
end
for i = 2, #cursors, 2 do
  if less(last_id(), cursors[i]) then
    redis.call('HSET', KEYS[1], cursors[i - 1], before(first[1]))
  end
end
return {2, holes}
