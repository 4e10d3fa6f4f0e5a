-- ARGV: id, fence, error (JSON). Returns whether the job failed now or had already.
if get('fence') == ARGV[2] and get('status') == 'failed' then
  return 1
end
if not owns(ARGV[2]) then
  return 0
end
finish(ARGV[1], 'failed', 'error', ARGV[3])
return 1
