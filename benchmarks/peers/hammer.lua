-- Follows a line that sets `paths`: asks for them in turn, and prints what came of it as JSON.
local number = 0

request = function()
  number = number % #paths + 1
  return wrk.format("GET", paths[number])
end

done = function(summary)
  local errors = summary.errors
  io.write(string.format(
    'JSON{"requests": %d, "seconds": %f, "bytes": %d, "failed": %d}\n',
    summary.requests, summary.duration / 1e6, summary.bytes,
    errors.status + errors.connect + errors.read + errors.write + errors.timeout))
end
