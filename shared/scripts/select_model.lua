-- KEYS: current versions, versions of the name, its state, revision.
-- ARGV: name, version that is expected to be current ('' any), version to serve.
-- Returns 'selected', 'no model', 'no version' or 'changed'.
local version = redis.call('HGET', KEYS[3], 'version')
if not version then
  return 'no model'
end
if version == ARGV[3] then
  return 'selected'
end
if ARGV[2] ~= '' and ARGV[2] ~= version then
  return 'changed'
end
local entry = redis.call('HGET', KEYS[2], ARGV[3])
if not entry then
  return 'no version'
end
local header = cjson.decode(entry:match('^[^\n]*'))
local source = header.job_id .. ' ' .. entry:match('\n(.*)$')
redis.call('HSET', KEYS[3], 'version', ARGV[3], 'owner', header.owner, 'source', source)
redis.call('HSET', KEYS[1], ARGV[1], entry)
redis.call('INCR', KEYS[4])
return 'selected'
