-- status: what became of one message of a challenge.
-- KEYS[1] challenge hash   KEYS[2] phone's sends
-- ARGV[1] id   [2] send   [3] most wrong tries   [4] resend after   [5] sends a phone, [6] in
-- returns {1, state, next} | {0, 'none'}; next = wait until the phone's next send
if not live(KEYS[1], ARGV[1], tonumber(ARGV[3])) then
  return {0, 'none'}
end
local c = redis.call('HMGET', KEYS[1], 'state:' .. ARGV[2], 'sent')
if not c[1] then
  return {0, 'none'}
end
local next = c[2] + tonumber(ARGV[4]) - now
return {1, c[1], math.max(0, next, wait(KEYS[2], tonumber(ARGV[5]), tonumber(ARGV[6])))}
