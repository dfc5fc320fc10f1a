-- prelude: stands before every script. Redis TIME is the only clock; all times are whole microseconds.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]

local function text(us)
  return string.format('%.0f', us)
end

local stamp = text(now)

local function expire(key, life)
  return redis.call('PEXPIRE', key, text(math.ceil(life / 1000)))
end

-- A window is a list of the times of what happened, newest first, never longer than its maximum.
-- wait until the window has room for one more; 0 = it has. max 0 = no limit.
local function wait(key, max, window)
  local oldest = max > 0 and redis.call('LINDEX', key, max - 1)
  return oldest and math.max(0, oldest + window - now) or 0
end

-- count one more, and give the wait after it.
local function count(key, max, window)
  if max == 0 then
    return 0
  end
  local length = redis.call('LPUSH', key, stamp)
  expire(key, window)
  if length < max then
    return 0
  end
  if length > max then
    redis.call('LTRIM', key, 0, max - 1)
  end
  return wait(key, max, window)
end

-- live tells whether the challenge is the one of this id and can still log in.
local function live(key, id, max_tries)
  local c = redis.call('HMGET', key, 'id', 'tries')
  return c[1] == id and tonumber(c[2]) < max_tries
end

-- A message in an outbox is always pending, in the hands of whoever knows its lease: the number of times that it
-- was handed out.
local function lease(outbox, entry)
  local p = redis.pcall('XPENDING', outbox, 'couriers', entry, entry, 1)
  if p.err and not string.find(p.err, 'NOGROUP') then
    error(p)
  end
  return p[1] and p[1][4] or 0
end

-- hold begins or renews a lease. An outbox begins, and gets its life in us, with its first message; claim renews it.
local function hold(outbox, entry, lease, life)
  local reply = redis.pcall('XCLAIM', outbox, 'couriers', 'courier', 0, entry, 'RETRYCOUNT', lease, 'FORCE', 'JUSTID')
  if reply.err then
    redis.call('XGROUP', 'CREATE', outbox, 'couriers', '$')
    expire(outbox, life)
    redis.call('XCLAIM', outbox, 'couriers', 'courier', 0, entry, 'RETRYCOUNT', lease, 'FORCE', 'JUSTID')
  end
end

local function drop(outbox, entry)
  redis.call('XACK', outbox, 'couriers', entry)
  redis.call('XDEL', outbox, entry)
end

-- use tells what a message is good for: 'live' to be sent; 'late' to be reported, since it was queued longer ago than its
-- code lives, and nobody has had any use of it. One whose challenge is gone earlier was used, or is another's: it is
-- dropped, and nil.
local function use(outbox, entry, key, id, max_tries, queued, life)
  if live(key, id, max_tries) then
    return 'live'
  end
  if now >= queued + life then
    return 'late'
  end
  drop(outbox, entry)
end

