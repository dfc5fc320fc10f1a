-- close: end the challenge, if it is still the phone's, and give its sends back to the addresses.
-- KEYS[1] challenge hash   KEYS[2…] addresses' sends, not on a cluster
-- ARGV[1] id   ARGV[2…] for each address the time to give back
-- returns {}
if redis.call('HGET', KEYS[1], 'id') == ARGV[1] then
  redis.call('DEL', KEYS[1])
end
for i = 2, #KEYS do
  redis.call('LREM', KEYS[i], 1, ARGV[i])
end
return {}
