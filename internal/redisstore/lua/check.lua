-- check: compares a code with the challenge's and counts a wrong attempt against whoever made it, in one step. A right
-- code is not used up.
-- KEYS[1] open challenge hash   KEYS[2] wrong attempts of a day, of the phone or of its known device
-- KEYS[3] those at codes of the usual length   KEYS[4] those in a row
-- KEYS[5] challenge hash of the known device, if there is one; otherwise KEYS[5…] lists of the sources, none on a
-- cluster
-- ARGV[1] digest and ARGV[2] digits of the code   ARGV[3] digits of a usual code
-- ARGV[4] wrong attempts of a requester at a code
-- ARGV[5] wrong attempts, ARGV[6] those that make a code longer, and ARGV[7] those at codes of the usual length, within
-- ARGV[8]   ARGV[9] how long those in a row are kept   ARGV[10] identifier of the attempt
-- ARGV[11] known device ('' = none)   ARGV[12] id of the challenge of the request ('' = none) and ARGV[13] its send
-- ARGV[14] address whose wrong attempts at the challenge are kept apart ('' = none)
-- ARGV[15…] limits of the sources, as the prelude describes them
-- returns {1, id, 1 if it is the known device's, receipts, provider, wrong attempts of the address} if right
--         {0, 'wrong'} if wrong and counted
--         {0, 'none', 'burnt', 'closed', 'short' or 'long'} if there is nothing to compare with; not counted
--         {0, word, wait} if the sources have no attempts left; not compared
-- A second run with the same identifier counts nothing, unless the same requester has made another wrong attempt
-- between, or the challenge was replaced.
local challenge, wrong, short, row, own = KEYS[1], KEYS[2], KEYS[3], KEYS[4], nil
local digest, length, usual_length = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local max_attempts, wrong_max, long_after = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local short_max, day, keep_row, attempt = tonumber(ARGV[7]), tonumber(ARGV[8]), ARGV[9], ARGV[10]
local device, request, send, address = ARGV[11], ARGV[12], ARGV[13], ARGV[14]
local first_limit = 15

local sources = {}
if device ~= '' then
  own = KEYS[5]
else
  sources = {unpack(KEYS, 5)}
end

-- The challenges with whose codes the code is compared. A wrong attempt counts at the first one that can still be used.
local targets = {}
local function add_target(key, pool)
  local c = redis.call('HMGET', key, 'id', 'digest', 'length', field('tries', pool), field('attempt', pool), 'receipts',
    'provider', 'test', 'wrong', field('from', address))
  if c[1] then
    table.insert(targets, {
      key = key, pool = pool, id = c[1], digest = c[2], length = tonumber(c[3]) or usual_length,
      tries = tonumber(c[4] or 0), attempt = c[5], receipts = c[6], provider = c[7], is_test = c[8], wrong = c[9],
      from = c[10],
    })
  end
end
local asked = request ~= '' and find(challenge, request)
if own then
  add_target(request ~= '' and find(own, request) or own, '')
  add_target(asked or challenge, device)
elseif asked then
  add_target(asked, send)
else
  add_target(challenge, '')
end

for _, t in ipairs(targets) do
  if t.attempt == attempt then
    return {0, 'wrong'}
  end
end
local word, us = refusal(sources, ARGV, first_limit, now)
if us > 0 then
  return {0, word, us}
end
-- A closed phone is answered alike with and without a live code.
local is_clean = targets[1] and targets[1].is_test or not has_wrong(wrong, short, row)
if not is_clean and wait(wrong, wrong_max, day, now) > 0 then
  return {0, 'closed'}
end
if #targets == 0 then
  return {0, length == usual_length and 'none' or 'long'}
end

-- is_closed reports whether the target's code is too short for the phone by now: it ends for attempts without a request
-- as soon as codes have to be longer, and for all but known devices once the attempts at usual codes are used up.
local function is_closed(t)
  if is_clean or own or length ~= usual_length or long_after == 0 then
    return false
  end
  return wait(short, short_max, day, now) > 0 or t.pool == '' and needs_long(row, short, long_after, day, now)
end

local is_comparable, usable = false, nil
for _, t in ipairs(targets) do
  if t.length == length then
    is_comparable = true
    if t.tries < max_attempts and not is_closed(t) then
      usable = usable or t
      if t.digest == digest then
        -- A right code causes a write too. A Redis that accepts no writes, because it is full or a replica, must not
        -- reveal whether a code is right: it could not count the wrong ones.
        redis.call('HINCRBY', t.key, 'tries', 0)
        local is_own = t.key ~= challenge and t.pool == '' and 1 or 0
        return {1, t.id, is_own, t.receipts, t.provider or '', tonumber(t.from or 0)}
      end
    end
  end
end
if not usable then
  return {0, is_comparable and 'burnt' or length == usual_length and 'short' or 'long'}
end

redis.call('HSET', usable.key, field('tries', usable.pool), usable.tries + 1, field('attempt', usable.pool), attempt,
  'wrong', (usable.wrong or 0) + 1)
if address ~= '' then
  redis.call('HSET', usable.key, field('from', address), (usable.from or 0) + 1)
end
if not usable.is_test then
  count(wrong, wrong_max, day, now)
  if long_after > 0 then
    redis.call('INCR', row)
    expire(row, keep_row)
    if length == usual_length then
      count(short, short_max, day, now)
    end
  end
end
count_all(sources, ARGV, first_limit, now)
return {0, 'wrong'}
