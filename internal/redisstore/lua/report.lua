-- report: records a provider's final word on a message with its challenge, if that is still there.
-- KEYS[1] challenge hash
-- ARGV[1] id   ARGV[2] send   ARGV[3] 'delivered' or 'failed'
-- returns {}
local challenge = KEYS[1]
local id, send, reported = ARGV[1], ARGV[2], ARGV[3]

local key = find(challenge, id)
if key and redis.call('HGET', key, 'state:' .. send) ~= 'delivered' then
  redis.call('HSET', key, 'state:' .. send, reported, 'reported:' .. send, 1)
end
return {}
