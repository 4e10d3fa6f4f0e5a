-- Take tokens out of a bucket that fills up in a minute; stands alone, without the prelude.
-- KEYS[1]: the bucket. ARGV: its size, tokens wanted.
-- Returns tokens got, tokens left, and in how many ms there will be one more.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local size, wanted = tonumber(ARGV[1]), tonumber(ARGV[2])
local rate = size / 60000
local bucket = redis.call('HMGET', KEYS[1], 'tokens', 'at')
local passed = math.max(0, now - (tonumber(bucket[2]) or now))
local tokens = math.min(size, (tonumber(bucket[1]) or size) + passed * rate)
local got = math.min(wanted, math.floor(tokens))
tokens = tokens - got
if got > 0 then
  redis.call('HSET', KEYS[1], 'tokens', tokens, 'at', now)
  redis.call('PEXPIRE', KEYS[1], 60000)
end
return { got, math.floor(tokens), math.ceil((1 - tokens % 1) / rate) }
