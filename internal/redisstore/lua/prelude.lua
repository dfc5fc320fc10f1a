-- prelude: the functions that the scripts share. It stands before every script. In all scripts, policy.NAME stands for
-- a number of the store's policy, which script.go writes in its place: what all calls have in common is not sent with
-- each. All times are whole microseconds of Redis TIME. batch.lua owns the clock and passes it as now.

local function text(us)
  return string.format('%.0f', us)
end

local function expire(key, life)
  return redis.call('PEXPIRE', key, text(math.ceil(life / 1000)))
end

-- A limit keeps a list of the times of what it counts, newest first and never longer than its maximum.

-- wait returns how long it takes until the limit has room for one more; 0 if it has room now. A max of 0 is no limit.
local function wait(key, max, window, now)
  local oldest = max > 0 and redis.call('LINDEX', key, max - 1)
  return oldest and math.max(0, oldest + window - now) or 0
end

-- count counts one more and returns the wait after it.
local function count(key, max, window, now)
  if max == 0 then
    return 0
  end
  local length = redis.call('LPUSH', key, text(now))
  expire(key, window)
  if length < max then
    return 0
  end
  if length > max then
    redis.call('LTRIM', key, 0, max - 1)
  end
  return wait(key, max, window, now)
end

-- A source of requests or attempts has lists of its own: an address, its network, and a user. Their limits stand in
-- args from the position first on, three for each list: its name, the maximum and the window. The list 'daily' is only
-- asked whether it has room.

-- refusal returns the name of the list with the longest wait, and that wait, or '' and 0 if all have room.
local function refusal(lists, args, first, now)
  local name, longest = '', 0
  for i, list in ipairs(lists) do
    local at = first + 3 * (i - 1)
    local us = wait(list, tonumber(args[at + 1]), tonumber(args[at + 2]), now)
    if us > longest then
      name, longest = args[at], us
    end
  end
  return name, longest
end

-- count_all counts one more in all lists. It returns their receipts, of a line each.
local function count_all(lists, args, first, now)
  local receipts = {}
  for i, list in ipairs(lists) do
    local at = first + 3 * (i - 1)
    if args[at] ~= 'daily' then
      count(list, tonumber(args[at + 1]), tonumber(args[at + 2]), now)
      table.insert(receipts, list .. ' ' .. text(now))
    end
  end
  return table.concat(receipts, '\n')
end

-- A challenge lives under the key of its place. One that is replaced before it expires stays, under a key of its own,
-- for the requests that it has answered.

-- own_key returns the key under which a challenge stays that was replaced in this place.
local function own_key(challenge, id)
  return challenge .. ':old:' .. id
end

-- find returns the key of the challenge with this id, or nil if it is neither live in this place nor has been kept.
local function find(challenge, id)
  if redis.call('HGET', challenge, 'id') == id then
    return challenge
  end
  local old = own_key(challenge, id)
  return redis.call('EXISTS', old) == 1 and old or nil
end

-- Wrong attempts at a challenge are counted in fields: 'tries' has those without a request, or all in the place of a
-- known device; 'tries:N' has those with the request whose message was number N, 'tries:DEVICE' those of a known device
-- at the open challenge.
local function field(name, pool)
  return pool == '' and name or name .. ':' .. pool
end

-- find_live returns the key of the challenge if the code can still be used with this message's request or without one,
-- and otherwise nil.
local function find_live(challenge, id, send)
  local key = find(challenge, id)
  if not key then
    return nil
  end
  local c = redis.call('HMGET', key, 'tries', 'device', 'tries:' .. send)
  local shared, is_device, own = tonumber(c[1]), c[2], tonumber(c[3] or 0)
  return (shared < policy.max_attempts or not is_device and own < policy.max_attempts) and key or nil
end

-- pause returns the wait until the live challenge of the place may be sent again. There is none once the attempts
-- without a request, or those with the request of the last message, are used up.
local function pause(challenge, resend_after, now)
  local c = redis.call('HMGET', challenge, 'tries', 'send', 'sent')
  local shared, send, sent = tonumber(c[1]), c[2], tonumber(c[3])
  if not shared or shared >= policy.max_attempts then
    return 0
  end
  local own = tonumber(redis.call('HGET', challenge, 'tries:' .. send) or 0)
  return own < policy.max_attempts and math.max(0, sent + resend_after - now) or 0
end

-- has_wrong reports whether any wrong attempt at a place is remembered. Few places have one, and those that have none
-- need to be asked no more.
local function has_wrong(wrong, short, row)
  return redis.call('EXISTS', wrong, short, row) > 0
end

-- needs_long reports whether a phone has had so many wrong attempts that its codes have to be longer: 'after' in a row,
-- or more than that in a day at codes of the usual length. An 'after' of 0 stands for never.
local function needs_long(row, short, after, now)
  if after == 0 then
    return false
  end
  return tonumber(redis.call('GET', row) or 0) >= after or wait(short, after + 1, policy.day, now) > 0
end

-- Every message in an outbox is pending, in the sense of Redis Streams. The number of times that it was handed out
-- identifies its current lease: a caller that knows the number is the holder.

-- lease_of returns the number of the message's current lease, or 0 if the message is not in the outbox.
local function lease_of(outbox, entry)
  local p = redis.pcall('XPENDING', outbox, 'couriers', entry, entry, 1)
  if p.err and not string.find(p.err, 'NOGROUP') then
    error(p)
  end
  return p[1] and p[1][4] or 0
end

-- start_lease starts or renews a lease of this number.
local function start_lease(outbox, entry, lease)
  return redis.pcall('XCLAIM', outbox, 'couriers', 'courier', 0, entry, 'RETRYCOUNT', lease, 'FORCE', 'JUSTID')
end

local function drop(outbox, entry)
  redis.call('XACK', outbox, 'couriers', entry)
  redis.call('XDEL', outbox, entry)
end

-- triage decides what remains to be done with a message. It returns 'live' and the key of its challenge if the message
-- can be sent, and 'expired' if the least life of its code is over, so that it must be reported as failed. If the code
-- is gone earlier, the code was used or burnt: triage drops the message and returns nil.
local function triage(outbox, entry, challenge, id, send, time, now)
  local key = find_live(challenge, id, send)
  if key then
    return 'live', key
  end
  if now >= time + policy.least_life then
    return 'expired', challenge
  end
  drop(outbox, entry)
end

