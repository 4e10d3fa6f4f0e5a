-- ARGV: id, fence, lease (ms), fields... (none: only a heartbeat). Returns whether the lease holds.
if not owns(ARGV[2]) then
  return 0
end
redis.call('ZADD', due, now() + ARGV[3], ARGV[1])
if #ARGV > 3 then
  touch(unpack(ARGV, 4))
end
return 1
