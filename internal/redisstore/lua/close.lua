-- close: removes the challenge if it is still live, ends the row of wrong attempts, and gives back to addresses and
-- users what they have used up for this challenge.
-- KEYS[1] challenge hash   KEYS[2] wrong attempts of the phone in a row
-- KEYS[3…] sends to refund, as many as ARGV[2] says, then lists of wrong attempts; neither on a cluster
-- ARGV[1] id   ARGV[2] number of sends to refund   ARGV[3] newest wrong attempts to refund in each list
-- ARGV[4…] the time of each send to refund
-- returns {1} if removed, {0} if it was gone
-- A second run refunds nothing.
local challenge, row = KEYS[1], KEYS[2]
local id, refunds, tries = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])

redis.call('DEL', row)
for i = 1, refunds do
  redis.call('LREM', KEYS[2 + i], 1, ARGV[3 + i])
end
local key = find(challenge, id)
if not key then
  return {0}
end
redis.call('DEL', key)
if tries > 0 then
  for i = 3 + refunds, #KEYS do
    redis.call('LTRIM', KEYS[i], tries, -1)
  end
end
return {1}
