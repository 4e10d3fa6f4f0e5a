-- KEYS: current versions, versions of the name, its state, revision. ARGV: name.
-- Returns whether there was such a model.
if redis.call('HDEL', KEYS[1], ARGV[1]) == 0 then
  return 0
end
redis.call('DEL', KEYS[2], KEYS[3])
redis.call('INCR', KEYS[4])
return 1
