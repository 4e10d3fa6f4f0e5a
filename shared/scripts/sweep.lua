-- ARGV: id, whether running jobs may be taken back (0 or 1), first gap (ms), largest gap (ms).
-- Returns 1 if workers are to be told of the job.
local id, status = ARGV[1], get('status')
if not status or ended(status) then
  redis.call('ZREM', due, id)
  redis.call('ZREM', ready, id)
  return 0
end
if tonumber(redis.call('ZSCORE', due, id) or '+inf') > now() then
  return 0
end
if status == 'running' then
  if ARGV[2] == '0' then
    return 0
  end
  if overdue(id) then
    fail_overdue(id)
    return 0
  end
  revoke(id)
  move(id, 'queued')
  enqueue(id, ARGV[3], true)
  count('recoveries')
  return 1
end
local hints = redis.call('HINCRBY', record, 'hints', 1)
redis.call('ZADD', due, now() + math.min(ARGV[3] * 2 ^ hints, tonumber(ARGV[4])), id)
redis.call('ZADD', ready, get('place'), id)
count('hints')
return 1
