-- KEYS[9]: idempotency key, or the record again if there is none.
-- ARGV: id, owner, most open jobs, most of this owner, first look (ms), fingerprint ('' without
-- key), its life (s), fields...
local id, owner, fingerprint = ARGV[1], ARGV[2], ARGV[6]
if fingerprint ~= '' then
  local known = redis.call('GET', KEYS[9])
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
if redis.call('ZCARD', due) >= tonumber(ARGV[3]) then
  return { 'full', '' }
end
if tonumber(redis.call('HGET', owners, owner) or 0) >= tonumber(ARGV[4]) then
  return { 'owner full', '' }
end
local sequence = redis.call('INCR', jobs .. ':sequence')
redis.call('HSET', record, 'status', 'queued', 'sequence', sequence, 'created_at', now(),
  'owner', owner, 'epoch', 0, 'step', 0, 'fence', 0, unpack(ARGV, 8))
redis.call('HINCRBY', owners, owner, 1)
redis.call('ZADD', jobs, sequence, id)
redis.call('ZADD', jobs .. ':queued', sequence, id)
if owner ~= '' then
  redis.call('ZADD', jobs .. ':owner:' .. owner, sequence, id)
end
enqueue(id, ARGV[5])
touch()
emit('status', 'queued')
count('accepted')
if fingerprint ~= '' then
  redis.call('SET', KEYS[9], id .. ' ' .. fingerprint, 'EX', ARGV[7])
end
return { 'created', id }
