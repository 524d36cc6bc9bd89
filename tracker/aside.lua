-- Set aside what lies under a key of ours and is none of it; nothing of it is lost.
--
-- KEYS[1]  the key
-- KEYS[2]  where it goes
-- KEYS[3]  set of counters to be put right from the raw log; only with ARGV[3]
-- ARGV[1]  the type that belongs there, as TYPE says it, or hll
-- ARGV[2]  Lua pattern that a string, or the value of every field of a hash, has to match; empty for any
-- ARGV[3]  what goes into KEYS[3] then, empty for nothing
--
-- A hash of the right type is copied, and keeps the fields that are right. Returns what was found, empty
-- where all is as it should be.
local LAST = '18446744073709551615-18446744073709551615' -- the last id there can be
local wanted, pattern, hole = ARGV[1], ARGV[2], ARGV[3]
local found = redis.call('TYPE', KEYS[1]).ok

local function wrong(value)
  return pattern ~= '' and not string.find(value, pattern)
end

-- The fields of the hash that have no right value.
local function foreign_fields()
  local fields, wrongs = redis.call('HGETALL', KEYS[1]), {}
  for i = 1, #fields, 2 do
    if wrong(fields[i + 1]) then
      wrongs[#wrongs + 1] = fields[i]
    end
  end
  return wrongs
end

-- Whether nothing can be added to the stream any more.
local function exhausted()
  local info = redis.call('XINFO', 'STREAM', KEYS[1])
  for i = 1, #info, 2 do
    if info[i] == 'last-generated-id' then
      return info[i + 1] == LAST
    end
  end
end

local function is_foreign()
  if wanted == 'hll' then
    return type(redis.pcall('PFCOUNT', KEYS[1], KEYS[1])) ~= 'number' -- of two, none is taken from its cache
  end
  return found ~= wanted
    or (found == 'string' and wrong(redis.call('GET', KEYS[1])))
    or (found == 'stream' and exhausted())
end

if found == 'none' then
  return ''
elseif is_foreign() then
  if redis.call('RENAMENX', KEYS[1], KEYS[2]) == 0 then
    return redis.error_reply('ERR something lies already where a foreign value goes')
  end
elseif found == 'hash' then
  local wrongs = foreign_fields()
  if #wrongs == 0 then
    return ''
  elseif redis.call('COPY', KEYS[1], KEYS[2]) == 0 then
    return redis.error_reply('ERR something lies already where a foreign value goes')
  end
  for _, field in ipairs(wrongs) do
    redis.call('HDEL', KEYS[1], field)
  end
  found = 'hash with other fields'
else
  return ''
end
if hole ~= '' then
  redis.call('SADD', KEYS[3], hole)
end
return found
