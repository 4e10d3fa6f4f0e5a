-- ARGV: id, look again (ms). Returns the status after it, or false if there is no such job.
local status = get('status')
if status == 'paused' then
  redis.call('HSET', record, 'claims', 0)
  move(ARGV[1], 'queued')
  enqueue(ARGV[1], ARGV[2])
  return 'queued'
end
return status
