-- ARGV: id, look again (ms), most open jobs, most of an owner.
-- Returns the status after it, 'full' or 'owner full', or false if there is no such job.
local id, status = ARGV[1], get('status')
if status ~= 'failed' then
  return status
end
if redis.call('ZCARD', due) >= tonumber(ARGV[3]) then
  return 'full'
end
if tonumber(redis.call('HGET', owners, get('owner')) or 0) >= tonumber(ARGV[4]) then
  return 'owner full'
end
redis.call('HINCRBY', owners, get('owner'), 1)
redis.call('ZREM', past, id)
redis.call('HDEL', record, 'error', 'ended_at')
redis.call('HSET', record, 'claims', 0, 'used_ms', 0)
move(id, 'queued')
enqueue(id, ARGV[2])
return 'queued'
