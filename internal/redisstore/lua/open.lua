-- open: checks every limit, opens the challenge of the place or renews the live one, counts the send, and queues its
-- message with a lease for the caller. A challenge that is replaced stays for the requests that it has answered.
-- KEYS[1] challenge hash   KEYS[2] sends of the phone or of its known device   KEYS[3] wrong attempts of a day
-- KEYS[4] those at codes of the usual length   KEYS[5] those in a row   KEYS[6] outbox   KEYS[7] set of the phone's
-- other challenges, which forget.lua removes with the open one
-- KEYS[8] open challenge hash and KEYS[9] sends of all known devices of the phone, if the place is a known device's;
-- otherwise KEYS[8…] lists of the sources, none on a cluster
-- ARGV[1] id and ARGV[2] digest of a new challenge   ARGV[3] digest of its longer code
-- ARGV[4] wait between two messages of a challenge   ARGV[5] sends, within policy.send_window
-- ARGV[6] wrong attempts, and ARGV[7] those in a row that make a code longer   ARGV[8] known device ('' = none)
-- ARGV[9] receipts of the sources, if take.lua has counted the send ('' = none), or ARGV[10] the name of the list that
-- has refused it there ('' = none) and ARGV[11] its wait
-- ARGV[12] letter ('' = no message: a test number)   ARGV[13] most messages in an outbox
-- ARGV[14…] limits of the sources, as the prelude describes them
-- returns {1, id, send, time, next, receipts, entry, life, digits} if accepted; next is the wait until the next send,
--         life that of the challenge
--         {0, reason, wait, life, digits} if refused, for the limit with the longest wait; nothing is changed. Life and
--         digits are those of a code that works without a request, or for this device (0 = there is none)
-- A second run with the same id returns the same challenge, counts nothing and queues nothing. Its caller gets no
-- lease: receipts and entry are ''.
local challenge, sends, wrong, short, row = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local outbox, others = KEYS[6], KEYS[7]
local new_id, usual_digest, long_digest = ARGV[1], ARGV[2], ARGV[3]
local resend_after, send_max = tonumber(ARGV[4]), tonumber(ARGV[5])
local wrong_max, long_after = tonumber(ARGV[6]), tonumber(ARGV[7])
local device, receipts, taken_reason, taken_wait = ARGV[8], ARGV[9], ARGV[10], tonumber(ARGV[11])
local letter, outbox_max, first_limit = ARGV[12], tonumber(ARGV[13]), 14
local send_window = policy.send_window

local sources, shared_challenge, device_sends = {}, nil, nil
if device ~= '' then
  shared_challenge, device_sends = KEYS[8], KEYS[9]
else
  sources = {unpack(KEYS, 8)}
end

local c = redis.call('HMGET', challenge, 'id', 'tries', 'send', 'sent', 'receipts', 'last', 'first', 'length')
local id, shared, send, sent, earlier, last = c[1], tonumber(c[2]), tonumber(c[3]), tonumber(c[4]), c[5], c[6]
local first = tonumber(c[7]) or now -- a version before 1.2 has not written it
local length = tonumber(c[8]) or policy.length -- a version before 1.3 has not written it
if last == new_id then
  local next = math.max(resend_after, wait(sends, send_max, send_window, now))
  return {1, id, send, text(sent), next, '', '', redis.call('PTTL', challenge) * 1000, length}
end
local is_clean = not has_wrong(wrong, short, row)
local is_long = not is_clean and needs_long(row, short, long_after, now)
local is_open = id and shared < policy.max_attempts and not (is_long and length < policy.long_length)

local closed = is_clean and 0 or wait(wrong, wrong_max, policy.day, now)
local reason, longest = refusal(sources, ARGV, first_limit, now)
local function weigh(name, us)
  if us > longest then
    reason, longest = name, us
  end
end
weigh(taken_reason, taken_wait)
weigh('daily', closed)
weigh('phone', wait(sends, send_max, send_window, now))
if device_sends then
  weigh('phone', wait(device_sends, policy.devices_max, send_window, now))
end
if is_open then
  weigh('resend', pause(challenge, resend_after, now))
end
if longest > 0 then
  local works = is_open and closed == 0 and reason ~= 'daily' and challenge
  if not works and shared_challenge then
    local s = redis.call('HMGET', shared_challenge, 'id', 'length', field('tries', device))
    if s[1] and tonumber(s[3] or 0) < policy.max_attempts then
      works, length = shared_challenge, tonumber(s[2]) or policy.length
    end
  end
  return {0, reason, longest, works and redis.call('PTTL', works) * 1000 or 0, works and length or 0}
end
if letter ~= '' and redis.call('XLEN', outbox) >= outbox_max then
  return {0, 'full', 0, 0, 0}
end

local stamp = text(now)
if sources[1] then
  receipts = count_all(sources, ARGV, first_limit, now)
end
local next = math.max(resend_after, count(sends, send_max, send_window, now))
if device_sends then
  next = math.max(next, count(device_sends, policy.devices_max, send_window, now))
end

local created = {}
if is_open and first + policy.whole_life - now >= policy.least_life then
  send = send + 1
  if receipts ~= '' and #earlier < 4096 then
    earlier = earlier .. '\n' .. receipts
  end
else
  local other = device ~= '' and challenge
  if id then
    other = own_key(challenge, id)
    redis.call('RENAME', challenge, other)
  end
  if other then
    redis.call('SADD', others, other, challenge)
    expire(others, policy.whole_life)
  end
  id, send, earlier, first, length = new_id, 1, receipts, now, is_long and policy.long_length or policy.length
  created = {'id', id, 'digest', is_long and long_digest or usual_digest, 'length', length, 'tries', 0}
  for name, value in pairs({test = letter == '', device = device ~= ''}) do
    if value then
      table.insert(created, name)
      table.insert(created, 1)
    end
  end
end

local entry, state, time = '', 'delivered', '0'
if letter ~= '' then
  state, time = 'queued', stamp
  -- claim.lua reads the fields by their position.
  entry = redis.call('XADD', outbox, '*', 'key', challenge, 'id', id, 'send', send, 'time', stamp,
    'receipt', receipts, 'letter', letter, 'length', length)
  if start_lease(outbox, entry, 1).err then -- the outbox is new: it has no group yet
    redis.call('XGROUP', 'CREATE', outbox, 'couriers', '$')
    expire(outbox, policy.outbox_life) -- claim.lua renews it
    local reply = start_lease(outbox, entry, 1)
    if reply.err then
      error(reply)
    end
  end
end
redis.call('HSET', challenge, 'send', send, 'sent', time, 'receipts', earlier, 'last', new_id, 'first', text(first),
  'state:' .. send, state, unpack(created))
local life = math.min(policy.code_life, first + policy.whole_life - now)
expire(challenge, life)
return {1, id, send, time, next, receipts, entry, life, length}
