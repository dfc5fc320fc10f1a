-- renew: renews the lease on a message, or drops the message if its code was used or burnt.
-- KEYS[1] outbox   KEYS[2] challenge hash
-- ARGV[1] entry   ARGV[2] lease   ARGV[3] id   ARGV[4] wrong attempts of a requester at a code
-- ARGV[5] time of the send   ARGV[6] least life of a code   ARGV[7] send
-- returns {1} if renewed
--         {0, 'lost'} if another courier has the message, 'expired' if its code has expired, 'none' if it was dropped
local outbox, challenge = KEYS[1], KEYS[2]
local entry, lease, id, max_attempts = ARGV[1], tonumber(ARGV[2]), ARGV[3], tonumber(ARGV[4])
local time, least_life, send = ARGV[5], ARGV[6], ARGV[7]

if lease_of(outbox, entry) ~= lease then
  return {0, 'lost'}
end
local state = triage(outbox, entry, challenge, id, send, max_attempts, time, least_life, now)
if state ~= 'live' then
  return {0, state or 'none'}
end
local reply = start_lease(outbox, entry, lease)
if reply.err then
  error(reply)
end
return {1}
