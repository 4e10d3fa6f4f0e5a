-- Put before every script. KEYS are those of one job and the indexes, as shared/store.py names them.
local record, epochs, events, due, jobs = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local ready, past, owners = KEYS[6], KEYS[7], KEYS[8]
local webhooks = string.gsub(due, 'due$', 'webhooks')
local counters = string.gsub(due, 'due$', 'counters')

-- How much earlier or later (ms) a job is taken than a normal one that was queued with it.
-- Waiting outweighs it in the end, so that no priority starves another.
local ADVANCE = { high = 60000, normal = 0, low = -60000 }

local function now()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

local function get(field)
  return redis.call('HGET', record, field)
end

-- What /metrics shows of the work of all processes (see shared/observation.py). In the script that
-- does the work, so that each deed counts once, whoever dies or asks twice.
local function count(what, amount)
  redis.call('HINCRBY', counters, what, amount or 1)
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

-- Put a job into the order in which jobs are taken; `again` keeps the place that it had.
local function enqueue(id, look_again, again)
  local place = again and get('place') or now() - ADVANCE[get('priority')]
  redis.call('HSET', record, 'place', place, 'hints', 0, 'queued_at', now())
  redis.call('ZADD', ready, place, id)
  redis.call('ZADD', due, now() + look_again, id)
end

-- Count the time of a claim that ends; a worker that died stopped working when its lease ended.
local function used(id)
  local claimed = get('claimed_at')
  if get('status') ~= 'running' or not claimed then
    return tonumber(get('used_ms') or 0)
  end
  local till = math.min(now(), tonumber(redis.call('ZSCORE', due, id)))
  return (get('used_ms') or 0) + math.max(0, till - claimed)
end

local function overdue(id)
  local limit = get('time_limit_ms')
  return limit and used(id) > tonumber(limit)
end

-- Take the job from the worker that has it, if one has.
local function revoke(id)
  redis.call('HSET', record, 'used_ms', used(id))
  redis.call('HDEL', record, 'claim', 'claimed_at')
  redis.call('HINCRBY', record, 'fence', 1)
  redis.call('ZREM', ready, id)
end

-- Queue the news of an end (see shared/outbox.py); a job that is retried may have several.
local function announce(id, status)
  if not get('webhook_url') or get('webhook_status') == 'disabled' then
    return
  end
  local number = redis.call('HINCRBY', record, 'webhook_number', 1)
  redis.call('HSET', record, 'webhook_status', 'pending', 'webhook_attempts', 0,
    'webhook_error', '', 'webhook_next_at', now(), 'webhook:' .. number, cjson.encode({
      status = status, ended_at = get('ended_at'), epoch = get('epoch'), error = get('error') or nil
    }))
  redis.call('ZADD', webhooks, now(), id .. ':' .. number)
end

local function finish(id, status, ...)
  redis.call('HSET', record, 'used_ms', used(id))
  redis.call('ZREM', due, id)
  redis.call('ZREM', ready, id)
  redis.call('ZADD', past, now(), id)
  redis.call('HINCRBY', owners, get('owner'), -1)
  redis.call('HDEL', record, 'checkpoint', 'claim', 'claimed_at')
  redis.call('HSET', record, 'ended_at', now(), ...)
  announce(id, status)
  move(id, status)
  local code = status == 'failed' and cjson.decode(get('error')).code
  count('ended:' .. status .. (code and ':' .. code or ''))
end

local function ended(status)
  return status == 'succeeded' or status == 'failed' or status == 'cancelled'
end

-- Only the worker that holds the newest fencing token may write.
local function owns(fence)
  return get('status') == 'running' and get('fence') == fence
end

local function fail(id, code, detail)
  finish(id, 'failed', 'error', cjson.encode({ code = code, detail = detail }))
end

local function fail_overdue(id)
  local seconds = get('time_limit_ms') / 1000
  fail(id, 'timed_out', 'The job trained longer than its time limit of ' .. seconds .. ' s.')
end
