-- close: removes the challenge if it is still the phone's live one, and refunds its sends to the addresses.
-- KEYS[1] challenge hash   KEYS[2…] sends of addresses; none on a cluster
-- ARGV[1] id               ARGV[2…] for each address the time of the send to refund
-- returns {}
local challenge, addresses = KEYS[1], {unpack(KEYS, 2)}
local id, times = ARGV[1], {unpack(ARGV, 2)}

if redis.call('HGET', challenge, 'id') == id then
  redis.call('DEL', challenge)
end
for i, address in ipairs(addresses) do
  redis.call('LREM', address, 1, times[i])
end
return {}
