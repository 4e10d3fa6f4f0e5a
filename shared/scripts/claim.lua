-- ARGV: id, claim (a name of this attempt, so that asking twice is harmless), lease (ms),
-- most claims without progress.
-- Returns the fencing token, or false if this job is not to be taken.
local id, claim = ARGV[1], ARGV[2]
if get('status') == 'running' and get('claim') == claim then
  return get('fence')
end
if get('status') ~= 'queued' then
  redis.call('ZREM', ready, id)
  return false
end
local claims = redis.call('HINCRBY', record, 'claims', 1)
if claims > tonumber(ARGV[4]) then
  fail(id, 'worker_lost', (claims - 1) .. ' workers were lost in a row while they trained this job.')
  return false
end
local time = now()
redis.call('HINCRBY', record, 'fence', 1)
redis.call('HSETNX', record, 'started_at', time)
redis.call('HSET', record, 'claim', claim, 'claimed_at', time,
  'claimed_epoch', get('epoch'), 'claimed_step', get('step'))
redis.call('ZREM', ready, id)
redis.call('ZADD', due, time + ARGV[3], id)
move(id, 'running')
count('claims')
return get('fence')
