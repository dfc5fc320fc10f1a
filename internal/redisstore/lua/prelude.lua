-- prelude: the functions that the scripts share. It stands before every script.
-- All times are whole microseconds of Redis TIME. batch.lua owns the clock and passes it as now.

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

-- is_live reports whether the challenge has this id and is neither used, burnt nor expired.
local function is_live(challenge, id, max_attempts)
  local c = redis.call('HMGET', challenge, 'id', 'tries')
  return c[1] == id and tonumber(c[2]) < max_attempts
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

-- triage decides what remains to be done with a message. It returns 'live' if the message can be sent, and 'expired' if
-- the least life of its code is over, so that it must be reported as failed. If the code is gone earlier, the code was
-- used or burnt, or its challenge was replaced: triage drops the message and returns nil.
local function triage(outbox, entry, challenge, id, max_attempts, time, least_life, now)
  if is_live(challenge, id, max_attempts) then
    return 'live'
  end
  if now >= time + least_life then
    return 'expired'
  end
  drop(outbox, entry)
end

