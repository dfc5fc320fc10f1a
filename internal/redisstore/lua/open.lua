-- open: check every limit, then open the phone's challenge or renew the live one, count the send, and queue its
-- message in the hands of the caller.
-- KEYS[1] challenge hash   KEYS[2] phone's sends   KEYS[3] phone's wrong tries   KEYS[4] outbox
-- KEYS[5] address's sends, not on a cluster
-- ARGV[1] id and [2] digest of a new challenge   [3] its life   [4] most wrong tries   [5] resend after
-- ARGV[6] sends a phone, [7] in   [8] wrong tries a phone, [9] in   [10] sends an address, [11] in
-- ARGV[12] the address's receipt, where it was taken before ('' = none)
-- ARGV[13] the letter ('' = no message)   [14] the outbox's most messages, [15] life
-- returns {1, id, send, time, next, receipt, entry} counted; next = wait until the phone's next send
--         {0, reason, wait} refused by the longest of the waits, and nothing is changed
-- Run twice with the same id it answers twice, counts once and queues once; who asks again does not hold the message,
-- and entry is ''.
local max_tries, resend_after = tonumber(ARGV[4]), tonumber(ARGV[5])
local phone_max, phone_window = tonumber(ARGV[6]), tonumber(ARGV[7])
local address_max, address_window = tonumber(ARGV[10]), tonumber(ARGV[11])
local letter = ARGV[13]

local c = redis.call('HMGET', KEYS[1], 'id', 'tries', 'send', 'sent', 'receipts', 'last')
local id, tries, send, sent, receipts = c[1], tonumber(c[2]), tonumber(c[3]), tonumber(c[4]), c[5]
if c[6] == ARGV[1] then
  return {1, id, send, text(sent), math.max(resend_after, wait(KEYS[2], phone_max, phone_window)), '', ''}
end

local reason, longest = '', 0
local function weigh(name, us)
  if us > longest then
    reason, longest = name, us
  end
end
weigh('daily', wait(KEYS[3], tonumber(ARGV[8]), tonumber(ARGV[9])))
weigh('phone', wait(KEYS[2], phone_max, phone_window))
if KEYS[5] then
  weigh('address', wait(KEYS[5], address_max, address_window))
end
if id and resend_after > 0 then
  weigh('resend', sent + resend_after - now)
end
if longest > 0 then
  return {0, reason, longest}
end
if letter ~= '' and redis.call('XLEN', KEYS[4]) >= tonumber(ARGV[14]) then
  return {0, 'full', 0}
end

local receipt = ARGV[12]
if KEYS[5] and address_max > 0 then
  count(KEYS[5], address_max, address_window)
  receipt = KEYS[5] .. ' ' .. stamp
end
local next = math.max(resend_after, count(KEYS[2], phone_max, phone_window))

local digest = {}
if id and tries < max_tries then
  send = send + 1
  if receipt ~= '' and #receipts < 4096 then
    receipts = receipts .. '\n' .. receipt
  end
else
  if id then
    redis.call('DEL', KEYS[1])
  end
  id, send, receipts = ARGV[1], 1, receipt
  digest = {'id', id, 'digest', ARGV[2], 'tries', 0}
end

local entry, state, at = '', 'delivered', '0'
if letter ~= '' then
  state, at = 'queued', stamp
  entry = redis.call('XADD', KEYS[4], '*', 'key', KEYS[1], 'id', id, 'send', send, 'time', stamp, 'receipt', receipt, 'letter', letter)
  hold(KEYS[4], entry, 1, ARGV[15])
end
redis.call('HSET', KEYS[1], 'send', send, 'sent', at, 'receipts', receipts, 'last', ARGV[1], 'state:' .. send, state, unpack(digest))
expire(KEYS[1], ARGV[3])
return {1, id, send, at, next, receipt, entry}
