-- Append hits to a site's raw log, once for each source and position.
--
-- KEYS[1]  stream   the site's raw log
-- KEYS[2]  string   last position appended from this source
-- KEYS[3…] strings  further names of the source; they get the position, too
-- ARGV[1]  seconds for which the position is remembered
-- ARGV[2]  the position that must stand at KEYS[2], empty for none;
--          or "<": any number smaller than that of the batch (a source that counts its batches)
-- ARGV[3…] the batches, in their order: each its position, and its hits, each JSON with an end of line
--
-- Returns the number of hits appended and 1 where the log is new; 0 where all was there already;
-- -1 where another position stands at KEYS[2]. It writes in either case but the last: what waits until
-- replicas have it would else wait for nothing where a batch comes again.
local find, sub, call = string.find, string.sub, redis.call

local function append(hits)
  local number, from = 0, 1
  local to = find(hits, '\n', from, true)
  while to do
    call('XADD', KEYS[1], '*', 'hit', sub(hits, from, to - 1))
    number, from = number + 1, to + 1
    to = find(hits, '\n', from, true)
  end
  return number
end

local last = redis.call('GET', KEYS[2]) or ''
local new = 1 - redis.call('EXISTS', KEYS[1])
local appended, moved, at = 0, false, 3
while at < #ARGV do
  local position = ARGV[at]
  local is_next = last ~= position
  if ARGV[2] == '<' then
    is_next = last == '' or tonumber(last) < tonumber(position)
  elseif is_next and last ~= ARGV[2] then
    return {-1, 0}
  end
  if is_next then
    appended, moved, last = appended + append(ARGV[at + 1]), true, position
  end
  at = at + 2
end
for i = 2, #KEYS do
  if moved then
    redis.call('SET', KEYS[i], last, 'EX', ARGV[1])
  else
    redis.call('EXPIRE', KEYS[i], ARGV[1])
  end
end
return {appended, new}
