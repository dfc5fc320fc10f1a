-- open: checks every limit, opens the phone's challenge or renews the live one, counts the send, and queues its message
-- with a lease for the caller.
-- KEYS[1] challenge hash   KEYS[2] sends to the phone   KEYS[3] wrong attempts of the phone   KEYS[4] outbox
-- KEYS[5] sends of the address; not on a cluster
-- ARGV[1] id and ARGV[2] digest of a new challenge   ARGV[3] life of a code
-- ARGV[4] wrong attempts that burn a challenge   ARGV[5] wait between two messages of a challenge
-- ARGV[6] sends to a phone, within ARGV[7]   ARGV[8] wrong attempts of a phone, within ARGV[9]
-- ARGV[10] sends of an address, within ARGV[11]
-- ARGV[12] receipt of the address, if take.lua has counted the send ('' = none)
-- ARGV[13] letter ('' = no message: a test number)   ARGV[14] most messages in an outbox   ARGV[15] life of an outbox
-- ARGV[16] life of a challenge from its first send, however often it is renewed
-- ARGV[17] least life of a renewed challenge; one that would live for less is replaced
-- returns {1, id, send, time, next, receipt, entry, life} if accepted; next is the wait until the phone's next send,
--         life that of the challenge
--         {0, reason, wait} if refused, for the limit with the longest wait; nothing is changed
-- A second run with the same id returns the same challenge, counts nothing and queues nothing. Its caller gets no
-- lease: receipt and entry are ''.
local challenge, phone, attempts, outbox, address = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local new_id, new_digest, code_life = ARGV[1], ARGV[2], ARGV[3]
local max_attempts, resend_after = tonumber(ARGV[4]), tonumber(ARGV[5])
local phone_max, phone_window = tonumber(ARGV[6]), tonumber(ARGV[7])
local daily_max, daily_window = tonumber(ARGV[8]), tonumber(ARGV[9])
local address_max, address_window = tonumber(ARGV[10]), tonumber(ARGV[11])
local receipt, letter = ARGV[12], ARGV[13]
local outbox_max, outbox_life = tonumber(ARGV[14]), ARGV[15]
local whole_life, least_life = tonumber(ARGV[16]), tonumber(ARGV[17])

local c = redis.call('HMGET', challenge, 'id', 'tries', 'send', 'sent', 'receipts', 'last', 'first')
local id, wrong, send, sent, receipts, last = c[1], tonumber(c[2]), tonumber(c[3]), tonumber(c[4]), c[5], c[6]
local first = tonumber(c[7]) or now -- a version before 1.2 has not written it
if last == new_id then
  local next = math.max(resend_after, wait(phone, phone_max, phone_window, now))
  return {1, id, send, text(sent), next, '', '', redis.call('PTTL', challenge) * 1000}
end
local burnt = id and wrong >= max_attempts

local reason, longest = '', 0
local function weigh(name, us)
  if us > longest then
    reason, longest = name, us
  end
end
weigh('daily', wait(attempts, daily_max, daily_window, now))
weigh('phone', wait(phone, phone_max, phone_window, now))
if address then
  weigh('address', wait(address, address_max, address_window, now))
end
if id and not burnt and resend_after > 0 then
  weigh('resend', sent + resend_after - now)
end
if longest > 0 then
  return {0, reason, longest}
end
if letter ~= '' and redis.call('XLEN', outbox) >= outbox_max then
  return {0, 'full', 0}
end

local stamp = text(now)
if address and address_max > 0 then
  count(address, address_max, address_window, now)
  receipt = address .. ' ' .. stamp
end
local next = math.max(resend_after, count(phone, phone_max, phone_window, now))

local created = {}
if id and not burnt and first + whole_life - now >= least_life then
  send = send + 1
  if receipt ~= '' and #receipts < 4096 then
    receipts = receipts .. '\n' .. receipt
  end
else
  if id then
    redis.call('DEL', challenge)
  end
  id, send, receipts, first = new_id, 1, receipt, now
  created = {'id', id, 'digest', new_digest, 'tries', 0}
  if letter == '' then
    table.insert(created, 'test')
    table.insert(created, 1)
  end
end

local entry, state, time = '', 'delivered', '0'
if letter ~= '' then
  state, time = 'queued', stamp
  -- claim.lua reads the fields by their position.
  entry = redis.call('XADD', outbox, '*', 'key', challenge, 'id', id, 'send', send, 'time', stamp,
    'receipt', receipt, 'letter', letter)
  if start_lease(outbox, entry, 1).err then -- the outbox is new: it has no group yet
    redis.call('XGROUP', 'CREATE', outbox, 'couriers', '$')
    expire(outbox, outbox_life) -- claim.lua renews it
    local reply = start_lease(outbox, entry, 1)
    if reply.err then
      error(reply)
    end
  end
end
redis.call('HSET', challenge, 'send', send, 'sent', time, 'receipts', receipts, 'last', new_id, 'first', text(first),
  'state:' .. send, state, unpack(created))
local life = math.min(code_life, first + whole_life - now)
expire(challenge, life)
return {1, id, send, time, next, receipt, entry, life}
