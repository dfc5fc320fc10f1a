-- check: compare and count in one step; a right answer uses nothing up.
-- KEYS[1] challenge hash   KEYS[2] phone's wrong tries
-- ARGV[1] digest offered   [2] most wrong tries   [3] wrong tries a phone, [4] in
-- returns {1, id, receipts, provider} right | {0, 'wrong'} counted | {0, 'none' or 'burnt' or 'closed'} not counted
local max_tries, daily_max, daily_window = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local c = redis.call('HMGET', KEYS[1], 'id', 'digest', 'tries', 'receipts', 'provider')
if not c[1] then
  return {0, 'none'}
end
if tonumber(c[3]) >= max_tries then
  return {0, 'burnt'}
end
if wait(KEYS[2], daily_max, daily_window) > 0 then
  return {0, 'closed'}
end
local right = c[2] == ARGV[1]
-- A right answer writes too: a Redis that takes no writes, being full or a replica, must not tell right from wrong, since
-- what it could not count would be free.
redis.call('HINCRBY', KEYS[1], 'tries', right and 0 or 1)
if right then
  return {1, c[1], c[4], c[5] or ''}
end
count(KEYS[2], daily_max, daily_window)
return {0, 'wrong'}
