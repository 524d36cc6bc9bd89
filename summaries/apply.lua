-- Count one batch of one site, all or nothing, exactly once.
--
-- First everything is read, checked and computed, then written: an error half-way, of a key that holds another
-- type or a field that holds no number, comes before the first write, and so does a kill of the script. What
-- Redis refuses for want of memory it refuses at the first write.
--
-- KEYS[1]  hash     the site's cursor: summary -> stream id
-- KEYS[2]  channel  the site's announcements
-- KEYS[3]  stream   the site's raw log
-- KEYS[4]  string   stream id of the last raw hit that was forgotten
-- KEYS[5…] hashes and HyperLogLogs, referred to below by their place in KEYS
-- ARGV[1]  MessagePack, an array:
--   1 summaries  names whose cursor moves
--   2 from       the stream id that each of their cursors must have ("0-0" where it has none)
--   3 to         the stream id that they get
--   4 most       labels that a hash may hold
--   5 items      what to add: {summary, announced, {label, …, "(other)"}, {hits, …}, {bytes, …}, {place, …}}
--                with place = {bucket, KEYS of hits, KEYS of bytes, expiry in seconds since 1970 or 0}
--                and announced = how many labels to announce, those with the most hits. What is beyond
--                `most` counts under the last label
--   6 active     {KEYS, expiry, {visitor, …}} for each minute
--   7 hits       how many hits of now the batch holds
--   8 recent     JSON, passed on with the announcement
--   9 quiet      1: say only that something changed (the batch is too wide to be told)
--
-- Publishes MessagePack: {summaries, from, to, hits, recent, entries, quiet} with
-- entries = {summary, bucket, distinct labels, 1 where capped, {label, hits, bytes, …}} in totals.
-- Returns 1; 0 where another counter has moved a cursor before, or the hits are gone; -1 where a cursor is lost:
-- there is none, and yet a counter that the batch adds to.
local MOST = 2 ^ 53 -- a sum stays there: beyond it numbers are not exact
local CHUNK = 2000 -- fields of one command; unpack fails beyond some 8,000 values
local SMALL = 1000 -- numbers below it come again and again, and have their text made once
local call, unpack, format, min = redis.call, unpack, string.format, math.min
local batch = cmsgpack.unpack(ARGV[1])
local summaries, from, to, most, quiet = batch[1], batch[2], batch[3], batch[4], batch[9] == 1

-- The values of these fields, false where there is none.
local function read(key, fields)
  if #fields <= CHUNK then
    return call('HMGET', key, unpack(fields))
  end
  local values = {}
  for first = 1, #fields, CHUNK do
    local part = call('HMGET', key, unpack(fields, first, min(first + CHUNK - 1, #fields)))
    for i = 1, #part do
      values[first + i - 1] = part[i]
    end
  end
  return values
end

for _, cursor in ipairs(read(KEYS[1], summaries)) do
  if (cursor or '0-0') ~= from then
    return 0
  end
end

-- A batch from the beginning may have been read of a log that is gone since, with all else in Redis: after
-- FLUSHALL. Any other batch does not find its cursor then.
if from == '0-0' and not call('XRANGE', KEYS[3], to, to)[1] then
  return 0
end

-- Numbers as text: redis formats a number among the arguments with %.17g, which takes longer than all else here.
local texts = {}
local function text(number)
  -- `+` takes a field that holds no whole number for what it looks like, or fails; inf % 1 is no number
  if not (number >= 0 and number % 1 == 0) then
    error('a field of a counter holds no whole number')
  end
  local known = format('%d', min(number, MOST))
  if number < SMALL then
    texts[number] = known
  end
  return known
end

-- What is to be written: {key, {field, …}, {value or false, …}, expiry or 0}. The key expires then.
local writes, pairs = {}, {}

local function write(key, fields, values, expiry)
  local n = 0
  for i = 1, #fields do
    if values[i] then
      pairs[n + 1], pairs[n + 2] = fields[i], values[i]
      n = n + 2
    end
    if n == 2 * CHUNK or (n > 0 and i == #fields) then
      call('HSET', key, unpack(pairs, 1, n))
      n = 0
    end
  end
  if expiry > 0 and call('TTL', key) == -1 then
    call('EXPIREAT', key, expiry)
  end
end

-- Keeps `best` the `announced` rows with the most hits, in order; equals by label.
local function rank(best, announced, label, hits, bytes)
  local place = #best + 1
  while place > 1 and (best[place - 1][2] < hits or (best[place - 1][2] == hits and best[place - 1][1] > label)) do
    place = place - 1
  end
  if place <= announced then
    table.insert(best, place, {label, hits, bytes})
    best[announced + 1] = nil
  end
end

-- Computes what one counter becomes. Returns its best rows, how many labels it holds, and whether it has (other).
local lost = false
local function add(place, announced, labels, hits, bytes)
  local hits_key, bytes_key, expiry, last = KEYS[place[2]], KEYS[place[3]], place[4], #labels
  local sums, sizes, fields = read(hits_key, labels), read(bytes_key, labels), call('HLEN', hits_key)
  local capped, held, rest_hits, rest_bytes = sums[last], fields - (sums[last] and 1 or 0), 0, 0
  local best, least = {}, announced > 0 and 0 or math.huge -- hits that a label needs to be announced
  lost = lost or (from == '0-0' and fields > 0)
  for i = 1, last do
    local had, more_hits, more_bytes = sums[i], hits[i], bytes[i]
    if i == last then
      more_hits, more_bytes = rest_hits, rest_bytes
    elseif not had and held >= most then
      rest_hits, rest_bytes = rest_hits + more_hits, rest_bytes + more_bytes
      more_hits = 0
    elseif not had then
      held = held + 1
    end
    if more_hits > 0 then
      local total, size = (had or 0) + more_hits, (sizes[i] or 0) + more_bytes
      local sized = texts[size] or text(size) -- is checked where it is not written, too
      sums[i], sizes[i] = texts[total] or text(total), more_bytes > 0 and sized
      if total >= least then
        rank(best, announced, labels[i], total, size)
        least = best[announced] and best[announced][2] or least
      end
    else
      sums[i], sizes[i] = false, false
    end
  end
  writes[#writes + 1] = {hits_key, labels, sums, expiry}
  writes[#writes + 1] = {bytes_key, labels, sizes, expiry}
  return best, held, capped or rest_hits > 0
end

local entries = {}
for _, item in ipairs(batch[5]) do
  for _, place in ipairs(item[6]) do
    local best, held, capped = add(place, item[2], item[3], item[4], item[5])
    if not quiet then
      local told = {}
      for _, row in ipairs(best) do
        told[#told + 1], told[#told + 2], told[#told + 3] = row[1], row[2], row[3]
      end
      entries[#entries + 1] = {item[1], place[1], held, capped and 1 or 0, told}
    end
  end
end

if lost then
  return -1
end

-- Whether that stream id is smaller than the other.
local function less(one, other)
  local time, number = string.match(one, '(%d+)-(%d+)')
  local times, numbers = string.match(other, '(%d+)-(%d+)')
  time, times = tonumber(time), tonumber(times)
  return time < times or (time == times and tonumber(number) < tonumber(numbers))
end

-- A log that begins after the cursor was deleted meanwhile: the hit at the cursor is never forgotten.
local first = from ~= '0-0' and call('XRANGE', KEYS[3], '-', '+', 'COUNT', 1)[1]
local gone = first and less(from, first[1]) and less(call('GET', KEYS[4]) or '0-0', from)

-- A HyperLogLog may be found broken only here; visitors that are added twice are there once.
for _, minute in ipairs(batch[6]) do
  local visitors = minute[3]
  for first = 1, #visitors, CHUNK do
    call('PFADD', KEYS[minute[1]], unpack(visitors, first, min(first + CHUNK - 1, #visitors)))
  end
  call('EXPIREAT', KEYS[minute[1]], minute[2])
end
for i = #writes, 1, -1 do
  write(unpack(writes[i]))
end
local ends = {}
for i = 1, #summaries do
  ends[i] = to
end
write(KEYS[1], summaries, ends, 0)
if gone then
  call('SET', KEYS[4], from)
end
call('PUBLISH', KEYS[2], cmsgpack.pack({summaries, from, to, batch[7], batch[8], entries, batch[9]}))
return 1
