-- Read the labels with the most hits of several counters, and the cursors, all of one moment.
--
-- KEYS[1]  hash    the site's cursor: summary -> stream id
-- KEYS[2…] hashes  hits and bytes of each counter by turns
-- ARGV[n]  how many labels of the nth counter, those with the most hits; -1 for all; 0: it only tells how many
--
-- Returns MessagePack: {{summary, id, …}, {labels it holds, 1 where capped, {label, hits, bytes, …}}, …}, rows
-- in order of their hits, equals by label, numbers as the text that they are. Changes nothing.
local OTHER = '(other)'
local call = redis.call

-- Puts the row in its place among the `most` best, in order, where it has one.
local function rank(best, most, label, hits)
  local place = #best + 1
  while place > 1 and (best[place - 1][2] < hits or (best[place - 1][2] == hits and best[place - 1][1] > label)) do
    place = place - 1
  end
  if place <= most then
    table.insert(best, place, {label, hits})
    best[most + 1] = nil
  end
end

local function top(key, most)
  local best, floor = {}, -1 -- hits without which a label is not among the best
  local all = call('HGETALL', key) -- of 10,000 labels 4 ms; by HSCAN it would be 7
  for i = 2, #all, 2 do
    local hits = all[i] + 0
    if hits >= floor then
      rank(best, most, all[i - 1], hits)
      floor = best[most] and best[most][2] or floor
    end
  end
  return best
end

local function read(hits_key, bytes_key, most)
  local rows = {}
  if most < 0 then
    local all = call('HGETALL', hits_key)
    for i = 1, #all, 2 do
      rows[#rows + 1], rows[#rows + 2], rows[#rows + 3] = all[i], all[i + 1], call('HGET', bytes_key, all[i]) or '0'
    end
  elseif most > 0 then
    for _, row in ipairs(top(hits_key, most)) do
      local label = row[1]
      rows[#rows + 1], rows[#rows + 2], rows[#rows + 3] =
        label, call('HGET', hits_key, label), call('HGET', bytes_key, label) or '0'
    end
  end
  return {call('HLEN', hits_key), call('HEXISTS', hits_key, OTHER), rows}
end

local told = {call('HGETALL', KEYS[1])}
for n = 1, #ARGV do
  told[n + 1] = read(KEYS[2 * n], KEYS[2 * n + 1], tonumber(ARGV[n]))
end
return cmsgpack.pack(told)
