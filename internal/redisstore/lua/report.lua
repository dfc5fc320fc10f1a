-- report: records a provider's final word on a message with its challenge, if that is still there.
-- KEYS[1] challenge hash
-- ARGV[1] id   ARGV[2] send   ARGV[3] 'delivered' or 'failed'
-- returns {}
local challenge = KEYS[1]
local id, send, reported = ARGV[1], ARGV[2], ARGV[3]

local c = redis.call('HMGET', challenge, 'id', 'state:' .. send)
local live_id, state = c[1], c[2]
if live_id == id and state ~= 'delivered' then
  redis.call('HSET', challenge, 'state:' .. send, reported, 'reported:' .. send, 1)
end
return {}
