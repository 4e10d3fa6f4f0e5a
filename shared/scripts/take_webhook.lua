-- ARGV: id, number of the end, lease (ms). Takes a due message, so that nobody else sends it while
-- the lease lasts. Returns false, or: the end of the lease, the message, attempts so far, URL,
-- secret, name, metadata, result of the last epoch.
local member, message = ARGV[1] .. ':' .. ARGV[2], 'webhook:' .. ARGV[2]
local score = tonumber(redis.call('ZSCORE', webhooks, member))
if not score or score > now() then
  return false
end
local content = get(message)
if not content then
  redis.call('ZREM', webhooks, member)
  return false
end
local lease = now() + ARGV[3]
redis.call('ZADD', webhooks, lease, member)
local epoch = tonumber(cjson.decode(content).epoch)
return { lease, content, get(message .. ':attempts'), get('webhook_url'), get('webhook_secret'),
  get('name'), get('metadata'), epoch > 0 and redis.call('LINDEX', epochs, epoch - 1) }
