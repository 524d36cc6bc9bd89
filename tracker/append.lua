-- Append hits to a site's raw log, once for each source and position.
--
-- KEYS[1]  stream   the site's raw log
-- KEYS[2]  string   last position appended from this source
-- KEYS[3…] strings  further names of the source; they get the position, too
-- ARGV[1]  position of this batch
-- ARGV[2]  the position that must stand at KEYS[2], empty for none;
--          or "<": any number smaller than ARGV[1] (a source that counts its batches)
-- ARGV[3]  seconds for which the position is remembered
-- ARGV[4…] hits, JSON, one each
--
-- Returns the number of hits appended and 1 where the log is new; 0 where the batch was there already;
-- -1 where another position stands at KEYS[2].
local last = redis.call('GET', KEYS[2]) or ''
if ARGV[2] == '<' then
  if last ~= '' and tonumber(last) >= tonumber(ARGV[1]) then
    return {0, 0}
  end
elseif last == ARGV[1] then
  return {0, 0}
elseif last ~= ARGV[2] then
  return {-1, 0}
end
local new = 1 - redis.call('EXISTS', KEYS[1])
for i = 4, #ARGV do
  redis.call('XADD', KEYS[1], '*', 'hit', ARGV[i])
end
for i = 2, #KEYS do
  redis.call('SET', KEYS[i], ARGV[1], 'EX', ARGV[3])
end
return {#ARGV - 3, new}
