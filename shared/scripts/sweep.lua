-- ARGV: id, whether running jobs may be taken back (0 or 1), messages that wait, first gap (ms),
-- largest gap (ms). Returns 1 if workers are to be told of the job.
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
  enqueue(id, ARGV[4], true)
  count('recoveries')
  return 1
end
local hints = redis.call('HINCRBY', record, 'hints', 1)
redis.call('ZADD', due, now() + math.min(ARGV[4] * 2 ^ hints, tonumber(ARGV[5])), id)
redis.call('ZADD', ready, get('place'), id)
if redis.call('ZCARD', ready) <= tonumber(ARGV[3]) then
  return 0 -- any message makes a worker take any job, and there are enough
end
count('hints')
return 1
