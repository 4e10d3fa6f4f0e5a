-- ARGV: id, fence, look again (ms). The worker stops and hands the job back.
if not owns(ARGV[2]) then
  return 0
end
revoke(ARGV[1])
redis.call('HSET', record, 'claims', 0)
move(ARGV[1], 'queued')
enqueue(ARGV[1], ARGV[3], true)
return 1
