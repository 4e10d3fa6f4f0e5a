-- KEYS: record and epochs of the job, current versions, versions of the name, its state, revision.
-- ARGV: name, job id, epoch (0: the last one), expected version ('' any), most names, most versions,
-- owner whose models may be replaced ('*' for everybody's).
-- Returns what happened and the version: 'created', 'replaced', 'same', 'no job', 'no weights',
-- 'changed', 'full', 'taken'.
local current, versions, state, revision = KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local name, id, epoch = ARGV[1], ARGV[2], tonumber(ARGV[3])
local owner = redis.call('HGET', state, 'owner')
if owner and ARGV[7] ~= '*' and ARGV[7] ~= owner then
  return { 'taken', '0' }
end
local version = redis.call('HGET', state, 'version') or '0'
if ARGV[4] ~= '' and ARGV[4] ~= version then
  return { 'changed', version }
end
if redis.call('EXISTS', KEYS[1]) == 0 then
  return { 'no job', version }
end
local result = redis.call('LINDEX', KEYS[2], epoch - 1)
if not result then
  return { 'no weights', version }
end
if redis.call('HGET', state, 'source') == id .. ' ' .. result then
  return { 'same', version }
end
if version == '0' and redis.call('HLEN', current) >= tonumber(ARGV[5]) then
  return { 'full', version }
end
owner = redis.call('HGET', KEYS[1], 'owner') or ''
local number = redis.call('HINCRBY', state, 'last', 1)
local time = redis.call('TIME')
local entry = cjson.encode({
  version = number, before = tonumber(version), job_id = id,
  owner = owner,
  created_at = time[1] * 1000 + math.floor(time[2] / 1000)
}) .. '\n' .. result
redis.call('HSET', versions, number, entry)
redis.call('HDEL', versions, number - ARGV[6])
redis.call('HSET', state, 'version', number, 'owner', owner, 'source', id .. ' ' .. result)
redis.call('HSET', current, name, entry)
redis.call('INCR', revision)
return { version == '0' and 'created' or 'replaced', tostring(number) }
