-- ARGV: id. Returns the status before it, or false if there was no such job.
local status = get('status')
if status and ended(status) then
  redis.call('ZREM', jobs, ARGV[1])
  redis.call('ZREM', jobs .. ':' .. status, ARGV[1])
  redis.call('ZREM', past, ARGV[1])
  redis.call('ZREM', jobs .. ':owner:' .. get('owner'), ARGV[1])
  redis.call('DEL', record, epochs, events)
end
return status
