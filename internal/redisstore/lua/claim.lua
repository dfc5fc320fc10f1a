-- claim: takes over messages whose leases have run out. It drops those whose codes were used or burnt.
-- KEYS    outboxes
-- ARGV[1] time after which a lease has run out, in ms   ARGV[2] most messages to take over
-- ARGV[3] wrong attempts that burn a challenge   ARGV[4] life of an outbox   ARGV[5] least life of a code
-- returns a list of {outbox, entry, lease, challenge, id, send, time, receipt, letter, 'live' or 'expired', life of the
--         code}
local outboxes = KEYS
local idle, room, max_attempts = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local outbox_life, least_life = ARGV[4], ARGV[5]

local claimed = {}
for _, outbox in ipairs(outboxes) do
  if expire(outbox, outbox_life) == 1 and room > 0 then
    local found = redis.call('XAUTOCLAIM', outbox, 'couriers', 'courier', idle, '0', 'COUNT', room)
    for _, message in ipairs(found[2]) do
      local entry, f = message[1], message[2] -- f: the names and values that open.lua wrote, in its order
      local challenge, id, send, time, receipt, letter = f[2], f[4], f[6], f[8], f[10], f[12]
      local state = triage(outbox, entry, challenge, id, max_attempts, time, least_life, now)
      if state then
        room = room - 1
        local lease = lease_of(outbox, entry)
        table.insert(claimed, {outbox, entry, lease, challenge, id, send, time, receipt, letter, state,
          math.max(0, redis.call('PTTL', challenge)) * 1000})
      end
    end
  end
end
return claimed
