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
--   4 most       labels that a hash may hold; the rest counts under "(other)"
--   5 items      what to add: {summary, announced, {label, …}, {hits, …}, {bytes, …}, {place, …}} with
--                place = {bucket, KEYS of hits, KEYS of bytes, expiry in seconds since 1970 or 0}
--                and announced = how many labels to announce, those with the most hits
--   6 active     {KEYS, expiry, {visitor, …}} for each minute
--   7 hits       how many hits of now the batch holds
--   8 recent     JSON, passed on with the announcement
--   9 quiet      1: say only that something changed (the batch is too wide to be told)
--
-- Publishes MessagePack: {summaries, from, to, hits, recent, entries, quiet} with
-- entries = {summary, bucket, distinct labels, 1 where capped, {label, hits, bytes, …}} in totals.
-- Returns 1; 0 where another counter has moved a cursor before; -1 where a cursor is lost: there is none, and
-- yet a counter that the batch adds to.
local OTHER = '(other)'
local MOST = 2 ^ 53 -- a sum stays there: beyond it numbers are not exact
local batch = cmsgpack.unpack(ARGV[1])
local summaries, from, to, most = batch[1], batch[2], batch[3], batch[4]

for _, name in ipairs(summaries) do
  if (redis.call('HGET', KEYS[1], name) or '0-0') ~= from then
    return 0
  end
end

local CHUNK = 2000 -- fields of one command; unpack fails beyond some 8,000 values

-- Numbers as text, each made once: redis formats a number among the arguments with %.17g, which
-- takes longer than all else here.
local texts = {}
local function text(number)
  local known = texts[number]
  if not known then
    -- `+` takes a field that holds no whole number for what it looks like, or fails
    if not (number >= 0 and number < math.huge and number % 1 == 0) then
      error('a field of a counter holds no whole number')
    end
    known = string.format('%d', math.min(number, MOST))
    texts[number] = known
  end
  return known
end

-- The values of these fields, false where there is none.
local function read(key, fields)
  local values = {}
  for first = 1, #fields, CHUNK do
    local part = redis.call('HMGET', key, unpack(fields, first, math.min(first + CHUNK - 1, #fields)))
    for i = 1, #part do
      values[first + i - 1] = part[i]
    end
  end
  return values
end

-- What is to be written: {key, {field, value, …}, expiry}. The key expires then, where it does.
local writes = {}

local function write(key, pairs, expiry)
  for first = 1, #pairs, 2 * CHUNK do
    redis.call('HSET', key, unpack(pairs, first, math.min(first + 2 * CHUNK - 1, #pairs)))
  end
  if #pairs > 0 and expiry > 0 then
    redis.call('EXPIREAT', key, expiry)
  end
end

-- Keeps `best` the `announced` rows with the most hits, in order; equals by label.
local function rank(best, announced, label, hits, bytes)
  local last = best[announced]
  if last and last[2] > hits then
    return
  end
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
  local hits_key, bytes_key, expiry = KEYS[place[2]], KEYS[place[3]], place[4]
  local had, sized = read(hits_key, labels), read(bytes_key, labels)
  local other = (redis.call('HGET', hits_key, OTHER) or 0) + 0
  local fields = redis.call('HLEN', hits_key)
  local held = fields - (other > 0 and 1 or 0)
  lost = lost or (from == '0-0' and fields > 0)
  local sums, sizes, best, rest_hits, rest_bytes = {}, {}, {}, 0, 0

  local function put(label, total, size, grown)
    local count = #sums
    sums[count + 1], sums[count + 2] = label, text(total)
    local sized_text = size == 0 or text(size) -- is checked where it is not written, too
    if grown then
      count = #sizes
      sizes[count + 1], sizes[count + 2] = label, sized_text
    end
    rank(best, announced, label, total, size)
  end

  for i, label in ipairs(labels) do
    if label == OTHER or (not had[i] and held >= most) then
      rest_hits, rest_bytes = rest_hits + hits[i], rest_bytes + bytes[i]
    else
      held = held + (had[i] and 0 or 1)
      put(label, (had[i] or 0) + hits[i], (sized[i] or 0) + bytes[i], bytes[i] > 0)
    end
  end
  if rest_hits > 0 then
    local size = (redis.call('HGET', bytes_key, OTHER) or 0) + rest_bytes
    put(OTHER, other + rest_hits, size, rest_bytes > 0)
  end
  writes[#writes + 1] = {hits_key, sums, expiry}
  writes[#writes + 1] = {bytes_key, sizes, expiry}
  return best, held, other + rest_hits > 0
end

local entries = {}
for _, item in ipairs(batch[5]) do
  for _, place in ipairs(item[6]) do
    local best, held, capped = add(place, item[2], item[3], item[4], item[5])
    if batch[9] == 0 then
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
local first = from ~= '0-0' and redis.call('XRANGE', KEYS[3], '-', '+', 'COUNT', 1)[1]
local gone = first and less(from, first[1]) and less(redis.call('GET', KEYS[4]) or '0-0', from)

-- A HyperLogLog may be found broken only here; visitors that are added twice are there once.
for _, minute in ipairs(batch[6]) do
  local visitors = minute[3]
  for first = 1, #visitors, CHUNK do
    redis.call('PFADD', KEYS[minute[1]], unpack(visitors, first, math.min(first + CHUNK - 1, #visitors)))
  end
  redis.call('EXPIREAT', KEYS[minute[1]], minute[2])
end
for _, each in ipairs(writes) do
  write(each[1], each[2], each[3])
end
for _, name in ipairs(summaries) do
  redis.call('HSET', KEYS[1], name, to)
end
if gone then
  redis.call('SET', KEYS[4], from)
end
redis.call('PUBLISH', KEYS[2], cmsgpack.pack({summaries, from, to, batch[7], batch[8], entries, batch[9]}))
return 1
