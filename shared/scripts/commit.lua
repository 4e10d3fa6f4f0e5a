-- ARGV: id, fence, lease (ms), first epoch, last epoch, final (0 or 1), results..., fields...
-- One result an epoch. Returns 'committed', 'duplicate', 'gap' or 'lost'.
local id, first, last = ARGV[1], tonumber(ARGV[4]), tonumber(ARGV[5])
local committed = tonumber(get('epoch') or -1)
if get('fence') == ARGV[2] and committed >= last then
  return 'duplicate'
end
if not owns(ARGV[2]) then
  return 'lost'
end
if committed + 1 ~= first then
  return 'gap'
end
local results = 6 + last - first + 1
for i = 7, results do
  redis.call('RPUSH', epochs, ARGV[i])
  emit('epoch', ARGV[i])
end
redis.call('HDEL', record, 'checkpoint')
count('epochs', last - first + 1)
count('steps', (last - first + 1) * (get('training_size') or 0))
touch('epoch', last, 'step', 0, 'claims', 0, unpack(ARGV, results + 1))
if ARGV[6] == '1' then
  finish(id, 'succeeded')
elseif overdue(id) then
  fail_overdue(id)
else
  redis.call('ZADD', due, now() + ARGV[3], id)
end
return 'committed'
