-- unlock: frees a phone: forgets its wrong attempts of a day and the times of the messages to it.
-- KEYS[1] wrong attempts of the phone   KEYS[2] sends to the phone
-- returns {1, wrong, since, sends}: how many there were, and the time of the oldest wrong attempt, or else of the
--         oldest send (0 = none)
-- A second run finds nothing.
local attempts, sends = KEYS[1], KEYS[2]

local since = redis.call('LINDEX', attempts, -1) or redis.call('LINDEX', sends, -1) or '0'
local freed = {1, redis.call('LLEN', attempts), since, redis.call('LLEN', sends)}
redis.call('DEL', attempts, sends)
return freed
