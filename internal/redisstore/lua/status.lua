-- status: returns the state of one message of a challenge.
-- KEYS[1] challenge hash   KEYS[2] sends to the phone
-- ARGV[1] id   ARGV[2] send   ARGV[3] wrong attempts that burn a challenge
-- ARGV[4] wait between two messages of a challenge   ARGV[5] sends to a phone, within ARGV[6]
-- returns {1, state, next, provider, wrong, life}; next is the wait until the phone's next send, provider the one that
--         accepted this message ('' = none, or not known because a later message was sent), wrong how many wrong
--         attempts were made, life how long the code still lives
--         {0, 'none'} if the challenge is not live or has no such message
local challenge, phone = KEYS[1], KEYS[2]
local id, send, max_attempts = ARGV[1], ARGV[2], tonumber(ARGV[3])
local resend_after, phone_max, phone_window = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])

if not is_live(challenge, id, max_attempts) then
  return {0, 'none'}
end
local c = redis.call('HMGET', challenge, 'state:' .. send, 'sent', 'send', 'provider', 'tries')
local state, sent, last, provider, wrong = c[1], c[2], c[3], c[4], tonumber(c[5])
if not state then
  return {0, 'none'}
end
local next = math.max(0, sent + resend_after - now, wait(phone, phone_max, phone_window, now))
local accepted_by = last == send and state ~= 'queued' and provider or ''
return {1, state, next, accepted_by, wrong, redis.call('PTTL', challenge) * 1000}
