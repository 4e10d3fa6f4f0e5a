-- ARGV: id. Returns the status after it, or false if there is no such job.
local status = get('status')
if status and not ended(status) then
  revoke(ARGV[1])
  finish(ARGV[1], 'cancelled')
  return 'cancelled'
end
return status
