-- claim: takes over messages whose leases have run out. It drops those whose codes were used or burnt.
-- KEYS    outboxes
-- ARGV[1] time after which a lease has run out, in ms   ARGV[2] most messages to take over
-- returns a list of {outbox, entry, lease, challenge, id, send, time, receipts, letter, 'live' or 'expired', life of
--         the code, digits of the code (0 = not known)}
local outboxes = KEYS
local idle, room = ARGV[1], tonumber(ARGV[2])

local claimed = {}

-- take starts a lease on the message, after so many others, and adds the message to those that were taken over.
local function take(outbox, entry, leases)
  local message = redis.call('XCLAIM', outbox, 'couriers', 'courier', 0, entry, 'RETRYCOUNT', leases + 1)[1]
  if not message then -- it was deleted, but is pending still
    redis.call('XACK', outbox, 'couriers', entry)
    return
  end
  local f = message[2] -- the names and values that open.lua wrote, in its order
  local challenge, id, send, time, receipts, letter = f[2], f[4], f[6], f[8], f[10], f[12]
  local length = tonumber(f[14] or 0) -- a version before 1.3 has not written it
  local state, key = triage(outbox, entry, challenge, id, send, time, now)
  if state then
    room = room - 1
    local life = math.max(0, redis.call('PTTL', key)) * 1000
    table.insert(claimed, {
      outbox, entry, leases + 1, challenge, id, send, time, receipts, letter, state, life, length,
    })
  end
end

for _, outbox in ipairs(outboxes) do
  if expire(outbox, policy.outbox_life) == 1 and room > 0 then
    -- Only abandoned messages are returned, so that those behind many held ones are found as soon as the others.
    local abandoned = redis.pcall('XPENDING', outbox, 'couriers', 'IDLE', idle, '-', '+', room)
    if abandoned.err then
      error(abandoned)
    end
    for _, p in ipairs(abandoned) do
      take(outbox, p[1], p[4])
    end
  end
end
return claimed
