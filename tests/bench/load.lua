-- For wrk: sends the hits of a file, one after the other, for ever, and tells as JSON what came of them.
--
-- wrk -s load.lua http://… -- FILE [RATE], with RATE hits a second of each thread, else as fast as they are answered;
-- each line of FILE of which holds, with tabs between them,
-- target, User-Agent, Accept-Language, X-Forwarded-For and, where it is to be a POST, a body of JSON.
-- Every request is made before the first is sent: what is left to do for each is to look it up, or wrk
-- would be what is measured.
local APART = 7919 -- requests between the beginnings of two threads, so that they do not send the same at once
local requests, threads = {}, 0

function setup(thread)
  thread:set('place', threads * APART)
  threads = threads + 1
end

function init(args)
  for line in io.lines(args[1]) do
    local target, agent, language, address, body = line:match('^(.-)\t(.-)\t(.-)\t([^\t]*)\t?(.*)$')
    local posted = body ~= ''
    requests[#requests + 1] = wrk.format(posted and 'POST' or 'GET', target, {
      ['User-Agent'] = agent,
      ['Accept'] = 'image/avif,image/webp,image/png,image/svg+xml,image/*;q=0.8,*/*;q=0.5',
      ['Accept-Language'] = language,
      ['Accept-Encoding'] = 'gzip, deflate, br, zstd',
      ['Referer'] = 'https://bench.example/',
      ['Sec-Fetch-Dest'] = 'image',
      ['Sec-Fetch-Mode'] = 'no-cors',
      ['Sec-Fetch-Site'] = 'cross-site',
      ['X-Forwarded-For'] = address,
      ['Content-Type'] = posted and 'application/json' or nil,
    }, posted and body or nil)
  end
  count = #requests
  if args[2] then
    pace(tonumber(args[2]))
  end
end

-- The nth request is sent no sooner than n / rate seconds after the first; wrk asks for milliseconds.
function pace(rate)
  local ffi = require('ffi')
  ffi.cdef('struct moment { long seconds, nanoseconds; }; int clock_gettime(int, struct moment *);')
  local moment, sent, begun = ffi.new('struct moment'), 0, nil
  function delay()
    ffi.C.clock_gettime(1, moment)
    local now = tonumber(moment.seconds) + tonumber(moment.nanoseconds) / 1e9
    begun, sent = begun or now, sent + 1
    return math.max(0, math.floor((begun + sent / rate - now) * 1000))
  end
end

function request()
  place = place % count + 1
  return requests[place]
end

-- Times in microseconds; `requests` counts the answers that were read to their end.
function done(summary, latency)
  local errors = summary.errors
  io.write(string.format(
    '\n{"answers": %d, "refused": %d, "broken": %d, "seconds": %f, "p50": %f, "p99": %f, "worst": %f}\n',
    summary.requests, errors.status, errors.connect + errors.read + errors.write + errors.timeout,
    summary.duration / 1e6, latency:percentile(50) / 1e6, latency:percentile(99) / 1e6, latency.max / 1e6
  ))
end
