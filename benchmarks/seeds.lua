-- For wrk: every request asks for a seed of its own. Arguments: method, path, body or "-", first seed, ETag or "-".
local number, method, path, body, headers

function init(args)
  method, path, body, number = args[1], args[2], args[3], tonumber(args[4])
  headers = {}
  if body ~= "-" then headers["Content-Type"] = "application/json" end
  if args[5] ~= "-" then headers["If-None-Match"] = args[5] end
end

function request()
  number = number + 1
  local seed = string.format("%d", number)
  if body == "-" then return wrk.format(method, (path:gsub("SEED", seed)), headers) end
  return wrk.format(method, path, headers, (body:gsub("SEED", seed)))
end

function done(summary, latency)
  local failed = summary.errors.connect + summary.errors.read + summary.errors.timeout
  io.write(string.format("RESULT %d %d %d %d %d %d %d\n", summary.requests, summary.duration, latency:percentile(50),
    latency:percentile(99), summary.errors.status, failed, latency:percentile(99.9)))
end
