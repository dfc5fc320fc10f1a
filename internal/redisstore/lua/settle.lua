-- settle: end a message, and keep what became of it with the challenge. 'failed' is for the one who holds it to say;
-- 'sent' always holds.
-- KEYS[1] outbox   KEYS[2] challenge hash   KEYS[3] phone's sends   KEYS[4] address's sends, not on a cluster
-- ARGV[1] entry   [2] lease   [3] id   [4] send   [5] state   [6] provider ('' = none)   [7] time of the send to give back ('' = none)
-- returns {1} settled | {0, 'lost'}
-- Run twice it says twice that it is settled.
local state, back = 'state:' .. ARGV[4], ARGV[7]
local c = redis.call('HMGET', KEYS[2], 'id', state, 'sent', 'reported:' .. ARGV[4])
local own = c[1] == ARGV[3]
if ARGV[5] ~= 'sent' then
  local held = lease(KEYS[1], ARGV[1])
  if held == 0 and own and c[2] == 'failed' then
    return {1}
  end
  if held ~= tonumber(ARGV[2]) then
    return {0, 'lost'}
  end
end
drop(KEYS[1], ARGV[1])
if back ~= '' then
  redis.call('LREM', KEYS[3], 1, back)
  if KEYS[4] then
    redis.call('LREM', KEYS[4], 1, back)
  end
end
if own and not c[4] then
  local provider = ARGV[6] ~= '' and {'provider', ARGV[6]} or {}
  redis.call('HSET', KEYS[2], state, ARGV[5], 'sent', c[3] == back and 0 or c[3], unpack(provider))
end
return {1}
