-- ARGV: id, fence, lease (ms), fields... (none: only a heartbeat). Returns whether the lease holds.
local id = ARGV[1]
if not owns(ARGV[2]) then
  return 0
end
if overdue(id) then
  fail_overdue(id)
  return 0
end
redis.call('ZADD', due, now() + ARGV[3], id)
if #ARGV > 3 then
  touch(unpack(ARGV, 4))
end
return 1
