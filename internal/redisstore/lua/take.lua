-- take: counts one send of an address. It runs on a cluster only, where the address lives in another slot than the
-- phone.
-- KEYS[1] sends of the address
-- ARGV[1] sends of an address, within ARGV[2]
-- returns {1, time} if counted
--         {0, wait} if refused
-- A second run counts a second send, so that a lost reply never lets an address send more.
local address = KEYS[1]
local max, window = tonumber(ARGV[1]), tonumber(ARGV[2])

local us = wait(address, max, window, now)
if us > 0 then
  return {0, us}
end
count(address, max, window, now)
return {1, text(now)}
