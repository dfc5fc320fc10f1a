-- renew: renews the lease on a message, or drops the message if its code was used or burnt.
-- KEYS[1] outbox   KEYS[2] challenge hash
-- ARGV[1] entry   ARGV[2] lease   ARGV[3] id   ARGV[4] send   ARGV[5] time of the send
-- returns {1} if renewed
--         {0, 'lost'} if another courier has the message, 'expired' if its code has expired, 'none' if it was dropped
local outbox, challenge = KEYS[1], KEYS[2]
local entry, lease, id, send, time = ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4], ARGV[5]

if lease_of(outbox, entry) ~= lease then
  return {0, 'lost'}
end
local state = triage(outbox, entry, challenge, id, send, time, now)
if state ~= 'live' then
  return {0, state or 'none'}
end
local reply = start_lease(outbox, entry, lease)
if reply.err then
  error(reply)
end
return {1}
