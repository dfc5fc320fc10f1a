-- unlock: frees a phone: forgets its wrong attempts and the times of the messages to it, apart from those of known
-- devices.
-- KEYS[1] wrong attempts of the phone in a day   KEYS[2] those at codes of the usual length   KEYS[3] those in a row
-- KEYS[4] sends of the phone
-- returns {1, wrong, since, sends}: how many there were, in a day or in a row, and the time of the oldest wrong attempt
--         of a day, or else of the oldest send (0 = none)
-- A second run finds nothing.
local wrong, short, row, sends = KEYS[1], KEYS[2], KEYS[3], KEYS[4]

local since = redis.call('LINDEX', wrong, -1) or redis.call('LINDEX', sends, -1) or '0'
local count = math.max(redis.call('LLEN', wrong), tonumber(redis.call('GET', row) or 0))
local freed = {1, count, since, redis.call('LLEN', sends)}
redis.call('DEL', wrong, short, row, sends)
return freed
