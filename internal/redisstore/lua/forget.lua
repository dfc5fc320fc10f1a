-- forget: removes the challenges of a phone for a login, and its counts of wrong attempts.
-- KEYS[1] open challenge hash   KEYS[2] wrong attempts of the phone in a day
-- KEYS[3] those at codes of the usual length   KEYS[4] those in a row   KEYS[5] set of the phone's other challenges
-- returns {}
-- A second run finds nothing.
for _, challenge in ipairs(redis.call('SMEMBERS', KEYS[5])) do
  redis.call('DEL', challenge)
end
redis.call('DEL', unpack(KEYS))
return {}
