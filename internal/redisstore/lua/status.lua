-- status: returns the state of one message of a challenge.
-- KEYS[1] challenge hash   KEYS[2] sends of the phone or of its known device
-- ARGV[1] id   ARGV[2] send
-- returns {1, state, next, provider, wrong, life}; next is the wait until the next send, provider the one that accepted
--         this message ('' = none, or not known because a later message was sent), wrong how many wrong attempts were
--         made at the code, life how long it still lives
--         {0, 'none'} if the challenge is not live or has no such message, or if this request has no attempts left
local challenge, sends = KEYS[1], KEYS[2]
local id, send = ARGV[1], ARGV[2]

local key = find(challenge, id)
if not key then
  return {0, 'none'}
end
local c = redis.call('HMGET', key, 'state:' .. send, 'send', 'provider', 'wrong', 'tries', 'device', 'tries:' .. send)
local state, last, provider, wrong = c[1], c[2], c[3], tonumber(c[4] or 0)
local tries = tonumber((c[6] and c[5] or c[7]) or 0)
if not state or tries >= policy.max_attempts then
  return {0, 'none'}
end
local next = math.max(pause(challenge, policy.resend_after, now), wait(sends, policy.send_max, policy.send_window, now))
local accepted_by = last == send and state ~= 'queued' and provider or ''
return {1, state, next, accepted_by, wrong, redis.call('PTTL', key) * 1000}
