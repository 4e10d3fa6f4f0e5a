-- KEYS[6]: idempotency key, or the record again if there is none.
-- ARGV: id, most open jobs, first look (ms), fingerprint ('' without key), its life (s), fields...
local id, fingerprint = ARGV[1], ARGV[4]
if fingerprint ~= '' then
  local known = redis.call('GET', KEYS[6])
  if known then
    local first, seen = known:match('^(%S+) (%S+)$')
    if first ~= id then
      return { seen == fingerprint and 'replayed' or 'mismatch', first }
    end
  end
end
if redis.call('EXISTS', record) == 1 then
  return { 'created', id }
end
if redis.call('ZCARD', due) >= tonumber(ARGV[2]) then
  return { 'full', '' }
end
local sequence = redis.call('INCR', jobs .. ':sequence')
redis.call('HSET', record, 'status', 'queued', 'sequence', sequence, 'created_at', now(),
  'epoch', 0, 'step', 0, 'fence', 0, unpack(ARGV, 6))
redis.call('ZADD', due, now() + ARGV[3], id)
redis.call('ZADD', jobs, sequence, id)
redis.call('ZADD', jobs .. ':queued', sequence, id)
touch()
emit('status', 'queued')
if fingerprint ~= '' then
  redis.call('SET', KEYS[6], id .. ' ' .. fingerprint, 'EX', ARGV[5])
end
return { 'created', id }
