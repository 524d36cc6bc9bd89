-- Append hits to a site's raw log, once for each source and position.
--
-- KEYS[1]  stream   the site's raw log
-- KEYS[2]  string   last position appended from this source
-- ARGV[1]  position of this batch; grows with every batch of its source
-- ARGV[2]  seconds for which the position is remembered
-- ARGV[3…] hits, JSON, one each
--
-- Returns the number of hits appended, 0 where the batch was there already, and 1 where the log is new.
local last = redis.call('GET', KEYS[2])
if last and tonumber(last) >= tonumber(ARGV[1]) then
  return {0, 0}
end
local new = 1 - redis.call('EXISTS', KEYS[1])
for i = 3, #ARGV do
  redis.call('XADD', KEYS[1], '*', 'hit', ARGV[i])
end
redis.call('SET', KEYS[2], ARGV[1], 'EX', ARGV[2])
return {#ARGV - 2, new}
