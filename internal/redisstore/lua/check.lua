-- check: compares a code with the challenge's and counts a wrong attempt, in one step. A right code is not used up.
-- KEYS[1] challenge hash   KEYS[2] wrong attempts of the phone
-- ARGV[1] digest of the code
-- ARGV[2] wrong attempts that burn a challenge   ARGV[3] wrong attempts of a phone, within ARGV[4]
-- ARGV[5] identifier of the attempt
-- returns {1, id, receipts, provider} if right
--         {0, 'wrong'} if wrong and counted
--         {0, 'none' or 'burnt' or 'closed'} if there is nothing to compare with; not counted
-- A second run with the same identifier counts nothing, unless another wrong attempt has come between.
local challenge, attempts = KEYS[1], KEYS[2]
local digest = ARGV[1]
local max_attempts, daily_max, daily_window = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local attempt = ARGV[5]

local c = redis.call('HMGET', challenge, 'id', 'digest', 'tries', 'receipts', 'provider', 'attempt', 'test')
local id, expected, wrong, receipts, provider, last = c[1], c[2], tonumber(c[3]), c[4], c[5], c[6]
if c[7] then -- the wrong attempts of a day do not count for a test number
  daily_max = 0
end
if not id then
  return {0, 'none'}
end
if last == attempt then
  return {0, 'wrong'}
end
if wrong >= max_attempts then
  return {0, 'burnt'}
end
if wait(attempts, daily_max, daily_window, now) > 0 then
  return {0, 'closed'}
end
local right = digest == expected
-- A right code causes a write too. A Redis that accepts no writes, because it is full or a replica, must not reveal
-- whether a code is right: it could not count the wrong ones.
if right then
  redis.call('HINCRBY', challenge, 'tries', 0)
  return {1, id, receipts, provider or ''}
end
redis.call('HSET', challenge, 'tries', wrong + 1, 'attempt', attempt)
count(attempts, daily_max, daily_window, now)
return {0, 'wrong'}
