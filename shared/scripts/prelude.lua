-- Put before every script. KEYS are those of one job and the indexes, as shared/store.py names them.
local record, epochs, events, due, jobs = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]

local function now()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

local function get(field)
  return redis.call('HGET', record, field)
end

local function touch(...)
  redis.call('HSET', record, 'updated_at', now(), ...)
  redis.call('HINCRBY', record, 'revision', 1)
end

local function emit(kind, data)
  redis.call('XADD', events, 'MAXLEN', '~', 20000, '*', 'kind', kind, 'data', data)
end

-- One job is a member of one status set only; its score is the sequence number of its creation.
local function move(id, to)
  local from = get('status')
  local sequence = get('sequence')
  redis.call('ZREM', jobs .. ':' .. from, id)
  redis.call('ZADD', jobs .. ':' .. to, sequence, id)
  touch('status', to)
  emit('status', to)
end

local function finish(id, status, ...)
  redis.call('ZREM', due, id)
  redis.call('HDEL', record, 'checkpoint', 'claim')
  redis.call('HSET', record, 'ended_at', now(), ...)
  move(id, status)
end

local function ended(status)
  return status == 'succeeded' or status == 'failed' or status == 'cancelled'
end

-- Only the worker that holds the newest fencing token may write.
local function owns(fence)
  return get('status') == 'running' and get('fence') == fence
end
