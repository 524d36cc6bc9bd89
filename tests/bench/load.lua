-- For wrk: sends the hits of a file, one after the other, for ever, and tells as JSON what came of them.
--
-- wrk -s load.lua http://… -- FILE, each line of which holds, with tabs between them,
-- target, User-Agent, Accept-Language, X-Forwarded-For.
local requests, place = {}, 0

function init(args)
  for line in io.lines(args[1]) do
    local target, agent, language, address = line:match('^(.-)\t(.-)\t(.-)\t(.*)$')
    requests[#requests + 1] = wrk.format('GET', target, {
      ['User-Agent'] = agent,
      ['Accept'] = 'image/avif,image/webp,image/png,image/svg+xml,image/*;q=0.8,*/*;q=0.5',
      ['Accept-Language'] = language,
      ['Accept-Encoding'] = 'gzip, deflate, br, zstd',
      ['Referer'] = 'https://bench.example/',
      ['Sec-Fetch-Dest'] = 'image',
      ['Sec-Fetch-Mode'] = 'no-cors',
      ['Sec-Fetch-Site'] = 'cross-site',
      ['X-Forwarded-For'] = address,
    })
  end
end

function request()
  place = place % #requests + 1
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
