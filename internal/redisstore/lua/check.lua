-- check: compares a code with the challenge's and counts a wrong attempt against whoever made it, in one step. A right
-- code is not used up.
-- KEYS[1] open challenge hash   KEYS[2] wrong attempts of a day, of the phone or of its known device
-- KEYS[3] those at codes of the usual length   KEYS[4] those in a row
-- KEYS[5] challenge hash of the known device, if there is one; otherwise KEYS[5…] lists of the sources, none on a
-- cluster
-- ARGV[1] digest and ARGV[2] digits of the code
-- ARGV[3] wrong attempts of a day, and ARGV[4] those in a row that make a code longer   ARGV[5] identifier of the
-- attempt
-- ARGV[6] known device ('' = none)   ARGV[7] id of the challenge of the request ('' = none) and ARGV[8] its send
-- ARGV[9] address whose wrong attempts at the challenge are kept apart ('' = none)
-- ARGV[10…] limits of the sources, as the prelude describes them
-- returns {1, id, 1 if it is the known device's, receipts, provider, wrong attempts of the address} if right
--         {0, 'wrong'} if wrong and counted
--         {0, 'none', 'burnt', 'closed', 'short' or 'long'} if there is nothing to compare with; not counted
--         {0, name, wait} if the sources have no attempts left; not compared
-- A second run with the same identifier counts nothing, unless the same requester has made another wrong attempt
-- between, or the challenge was replaced.
local challenge, wrong, short, row, own = KEYS[1], KEYS[2], KEYS[3], KEYS[4], nil
local digest, length, wrong_max, long_after = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local attempt, device, request, send, address = ARGV[5], ARGV[6], ARGV[7], ARGV[8], ARGV[9]
local first_limit = 10

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
      key = key, pool = pool, id = c[1], digest = c[2], length = tonumber(c[3]) or policy.length,
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
local name, us = refusal(sources, ARGV, first_limit, now)
if us > 0 then
  return {0, name, us}
end
-- A closed phone is answered alike with and without a live code.
local is_clean = targets[1] and targets[1].is_test or not has_wrong(wrong, short, row)
if not is_clean and wait(wrong, wrong_max, policy.day, now) > 0 then
  return {0, 'closed'}
end
if #targets == 0 then
  return {0, length == policy.length and 'none' or 'long'}
end

-- is_closed reports whether the target's code is too short for the phone by now: it ends for attempts without a request
-- as soon as codes have to be longer, and for all but known devices once the attempts at usual codes are used up.
local function is_closed(t)
  if is_clean or own or length ~= policy.length or long_after == 0 then
    return false
  end
  return wait(short, policy.usual_guesses, policy.day, now) > 0
    or t.pool == '' and needs_long(row, short, long_after, now)
end

local is_comparable, usable = false, nil
for _, t in ipairs(targets) do
  if t.length == length then
    is_comparable = true
    if t.tries < policy.max_attempts and not is_closed(t) then
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
  return {0, is_comparable and 'burnt' or length == policy.length and 'short' or 'long'}
end

redis.call('HSET', usable.key, field('tries', usable.pool), usable.tries + 1, field('attempt', usable.pool), attempt,
  'wrong', (usable.wrong or 0) + 1)
if address ~= '' then
  redis.call('HSET', usable.key, field('from', address), (usable.from or 0) + 1)
end
if not usable.is_test then
  count(wrong, wrong_max, policy.day, now)
  if long_after > 0 then
    redis.call('INCR', row)
    expire(row, policy.keep_row)
    if length == policy.length then
      count(short, policy.usual_guesses, policy.day, now)
    end
  end
end
count_all(sources, ARGV, first_limit, now)
return {0, 'wrong'}
