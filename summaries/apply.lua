-- Count one batch of one site, all or nothing, exactly once.
--
-- KEYS[1]  hash     the site's cursor: summary -> stream id
-- KEYS[2]  channel  the site's announcements
-- KEYS[3…] hashes and HyperLogLogs, referred to below by their place in KEYS
-- ARGV[1]  MessagePack, an array:
--   1 summaries  names whose cursor moves
--   2 from       the stream id that each of their cursors must have ("0-0" where it has none)
--   3 to         the stream id that they get
--   4 most       labels that a hash may hold; the rest counts under "(other)"
--   5 items      what to add: {summary, announced, {label, hits, bytes, …}, {place, …}} with
--                place = {bucket, KEYS of hits, KEYS of bytes, expiry in seconds since 1970 or 0}
--                and announced = how many labels to announce, those with the most hits
--   6 active     {KEYS, expiry, {visitor, …}} for each minute
--   7 hits       how many hits the batch holds
--   8 recent     JSON, passed on with the announcement
--   9 quiet      1: say only that something changed (the batch is too wide to be told)
--
-- Publishes MessagePack: {summaries, from, to, hits, recent, entries, quiet} with
-- entries = {summary, bucket, distinct labels, 1 where capped, {label, hits, bytes, …}} in totals.
-- Returns 1, or 0 where another counter has moved a cursor before.
local OTHER = '(other)'
local batch = cmsgpack.unpack(ARGV[1])
local summaries, from, to, most = batch[1], batch[2], batch[3], batch[4]

for _, name in ipairs(summaries) do
  if (redis.call('HGET', KEYS[1], name) or '0-0') ~= from then
    return 0
  end
end
for _, name in ipairs(summaries) do
  redis.call('HSET', KEYS[1], name, to)
end

-- Keeps `best` the `announced` labels with the most hits, in order; ties by label.
local function rank(best, announced, label, hits)
  local place = #best + 1
  while place > 1 and (best[place - 1][2] < hits or (best[place - 1][2] == hits and best[place - 1][1] > label)) do
    place = place - 1
  end
  if place <= announced then
    table.insert(best, place, {label, hits})
    best[announced + 1] = nil
  end
end

local function add(hits_key, bytes_key, labels, expiry)
  local totals, order = {}, {}
  local held = redis.call('HLEN', hits_key)
  local fresh = held == 0
  local capped = redis.call('HEXISTS', hits_key, OTHER) == 1
  if capped then
    held = held - 1
  end
  for i = 1, #labels, 3 do
    local label, hits, bytes = labels[i], labels[i + 1], labels[i + 2]
    if held >= most and label ~= OTHER and redis.call('HEXISTS', hits_key, label) == 0 then
      label, capped = OTHER, true
    end
    local total = redis.call('HINCRBY', hits_key, label, hits)
    if total == hits and label ~= OTHER then
      held = held + 1
    end
    if bytes > 0 and redis.call('HINCRBY', bytes_key, label, bytes) == bytes and expiry > 0 then
      redis.call('EXPIREAT', bytes_key, expiry)
    end
    if not totals[label] then
      order[#order + 1] = label
    end
    totals[label] = total
  end
  if fresh and expiry > 0 then
    redis.call('EXPIREAT', hits_key, expiry)
  end
  return totals, order, held, capped
end

local entries = {}
for _, item in ipairs(batch[5]) do
  local summary, announced, labels = item[1], item[2], item[3]
  for _, place in ipairs(item[4]) do
    local hits_key, bytes_key = KEYS[place[2]], KEYS[place[3]]
    local totals, order, held, capped = add(hits_key, bytes_key, labels, place[4])
    if batch[9] == 0 then
      local best = {}
      for _, label in ipairs(order) do
        rank(best, announced, label, totals[label])
      end
      local told = {}
      for _, pair in ipairs(best) do
        told[#told + 1] = pair[1]
        told[#told + 1] = pair[2]
        told[#told + 1] = tonumber(redis.call('HGET', bytes_key, pair[1]) or 0)
      end
      entries[#entries + 1] = {summary, place[1], held, capped and 1 or 0, told}
    end
  end
end

for _, minute in ipairs(batch[6]) do
  for _, visitor in ipairs(minute[3]) do
    redis.call('PFADD', KEYS[minute[1]], visitor)
  end
  redis.call('EXPIREAT', KEYS[minute[1]], minute[2])
end

redis.call('PUBLISH', KEYS[2], cmsgpack.pack({summaries, from, to, batch[7], batch[8], entries, batch[9]}))
return 1
