-- claim: take over messages that nobody has held for a while, and drop those whose code was used.
-- KEYS… outboxes
-- ARGV[1] idle for, in ms   [2] most messages   [3] most wrong tries   [4] life of an outbox   [5] life of a code
-- returns {{outbox, entry, lease, key, id, send, time, receipt, letter, 'live' or 'late'}…}
local room, claimed = tonumber(ARGV[2]), {}
for o, outbox in ipairs(KEYS) do
  if expire(outbox, ARGV[4]) == 1 and room > 0 then
    local found = redis.call('XAUTOCLAIM', outbox, 'couriers', 'courier', ARGV[1], '0', 'COUNT', room)
    for _, e in ipairs(found[2]) do
      local entry, f = e[1], e[2]
      local key, id, queued = f[2], f[4], f[8]
      local good_for = use(outbox, entry, key, id, tonumber(ARGV[3]), queued, ARGV[5])
      if good_for then
        room = room - 1
        table.insert(claimed, {o, entry, lease(outbox, entry), key, id, f[6], queued, f[10], f[12], good_for})
      end
    end
  end
end
return claimed
