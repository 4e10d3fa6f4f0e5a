-- ARGV: id. Returns the status after it, or false if there is no such job.
local status = get('status')
if status == 'queued' or status == 'running' then
  revoke(ARGV[1])
  move(ARGV[1], 'paused')
  redis.call('ZADD', due, '+inf', ARGV[1])
  return 'paused'
end
return status
