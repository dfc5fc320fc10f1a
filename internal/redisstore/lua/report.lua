-- report: keep a provider's last word on a message with its challenge, if that is still there.
-- KEYS[1] challenge hash   ARGV[1] id   [2] send   [3] 'delivered' or 'failed'
-- returns {}
local state = 'state:' .. ARGV[2]
local c = redis.call('HMGET', KEYS[1], 'id', state)
if c[1] == ARGV[1] and c[2] ~= 'delivered' then
  redis.call('HSET', KEYS[1], state, ARGV[3], 'reported:' .. ARGV[2], 1)
end
return {}
