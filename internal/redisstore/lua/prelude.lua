-- prelude: stands before every script. Redis TIME is the only clock; all times are whole microseconds.
-- A window is a list of the times of what happened, newest first, never longer than its maximum.
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]

local function text(us)
  return string.format('%.0f', us)
end

-- wait until the window has room for one more; 0 = it has. max 0 = no limit.
local function wait(key, max, window)
  local oldest = max > 0 and redis.call('LINDEX', key, max - 1)
  return oldest and math.max(0, oldest + window - now) or 0
end

local function count(key, max, window)
  if max > 0 then
    redis.call('LPUSH', key, text(now))
    redis.call('LTRIM', key, 0, max - 1)
    redis.call('PEXPIRE', key, text(math.ceil(window / 1000)))
  end
end

