-- ARGV: id, claim (a name of this attempt, so that asking twice is harmless), lease (ms).
-- Returns the fencing token, or false if there is nothing to do.
local id, claim = ARGV[1], ARGV[2]
local status = get('status')
if status == 'running' then
  if get('claim') == claim then
    return get('fence')
  end
  if tonumber(redis.call('ZSCORE', due, id)) > now() then
    return false
  end
elseif status ~= 'queued' then
  return false
end
local time = now()
redis.call('HINCRBY', record, 'fence', 1)
redis.call('HSETNX', record, 'started_at', time)
redis.call('HSET', record, 'claim', claim, 'claimed_at', time,
  'claimed_epoch', get('epoch'), 'claimed_step', get('step'))
redis.call('ZADD', due, time + ARGV[3], id)
move(id, 'running')
return get('fence')
