-- settle: removes a message from the outbox and records its outcome with the challenge. Only the holder of the lease
-- may report 'failed'. 'sent' is accepted from anyone, because the message is already out.
-- KEYS[1] outbox   KEYS[2] challenge hash
-- KEYS[3…] lists of sends to refund: of the phone or of its known devices, and of sources, which a cluster has
-- elsewhere
-- ARGV[1] entry   ARGV[2] lease   ARGV[3] id   ARGV[4] send   ARGV[5] 'sent' or 'failed'   ARGV[6] provider ('' = none)
-- ARGV[7] time of the send to refund ('' = none)
-- returns {1} if settled
--         {0, 'lost'} if another courier has the message
-- A second run with the same arguments changes nothing and returns {1}.
local outbox, challenge, lists = KEYS[1], KEYS[2], {unpack(KEYS, 3)}
local entry, lease, id, send, outcome = ARGV[1], tonumber(ARGV[2]), ARGV[3], ARGV[4], ARGV[5]
local provider, refund = ARGV[6], ARGV[7]

-- Most challenges have not been replaced: one call finds them and what is needed of them.
local key, c = challenge, nil
for _, k in ipairs({challenge, own_key(challenge, id)}) do
  key, c = k, redis.call('HMGET', k, 'id', 'state:' .. send, 'sent', 'reported:' .. send)
  if c[1] == id then
    break
  end
end
local is_live, state, sent, reported = c[1] == id, c[2], c[3], c[4]
if outcome ~= 'sent' then
  local current = lease_of(outbox, entry)
  if current == 0 and state == 'failed' then
    return {1}
  end
  if current ~= lease then
    return {0, 'lost'}
  end
end
drop(outbox, entry)
if refund ~= '' then
  for _, list in ipairs(lists) do
    redis.call('LREM', list, 1, refund)
  end
end
if is_live and not reported then
  local accepted_by = provider ~= '' and {'provider', provider} or {}
  redis.call('HSET', key, 'state:' .. send, outcome, 'sent', sent == refund and 0 or sent, unpack(accepted_by))
end
return {1}
