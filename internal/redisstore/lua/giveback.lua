-- giveback: undo what a send counted that was never delivered. The challenge stays live.
-- KEYS[1] challenge hash   KEYS[2] phone's sends   KEYS[3] address's sends, not on a cluster
-- ARGV[1] id   ARGV[2] time of the send
-- returns {}
redis.call('LREM', KEYS[2], 1, ARGV[2])
if KEYS[3] then
  redis.call('LREM', KEYS[3], 1, ARGV[2])
end
local c = redis.call('HMGET', KEYS[1], 'id', 'sent')
if c[1] == ARGV[1] and c[2] == ARGV[2] then
  redis.call('HSET', KEYS[1], 'sent', 0)
end
return {}
