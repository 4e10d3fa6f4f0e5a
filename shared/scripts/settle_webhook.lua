-- ARGV: id, number of the end, end of the lease, outcome ('delivered', 'failed', 'disabled', or
-- 'pending' to try again), wait (ms), error ('' without). Returns whether it was recorded.
-- Who lost the lease may only say that the message was delivered.
local number, outcome = ARGV[2], ARGV[4]
local member, message = ARGV[1] .. ':' .. number, 'webhook:' .. ARGV[2]
if not get(message) then
  redis.call('ZREM', webhooks, member)
  return 0
end
if outcome ~= 'delivered' and redis.call('ZSCORE', webhooks, member) ~= ARGV[3] then
  return 0
end
local attempts = redis.call('HINCRBY', record, message .. ':attempts', 1)
local again = ''
if outcome == 'pending' then
  again = now() + ARGV[5]
  redis.call('ZADD', webhooks, again, member)
else
  redis.call('ZREM', webhooks, member)
  redis.call('HDEL', record, message, message .. ':attempts')
end
if get('webhook_number') == number then
  redis.call('HSET', record, 'webhook_status', outcome, 'webhook_attempts', attempts,
    'webhook_error', ARGV[6], 'webhook_next_at', again)
  redis.call('HINCRBY', record, 'revision', 1)
end
return 1
