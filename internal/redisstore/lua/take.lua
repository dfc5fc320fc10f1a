-- take: count one send against an address, where it lives in another slot than the phone.
-- KEYS[1] address's sends   ARGV[1] sends an address, [2] in
-- returns {1, time} counted | {0, wait} refused
local max, window = tonumber(ARGV[1]), tonumber(ARGV[2])
local us = wait(KEYS[1], max, window)
if us > 0 then
  return {0, us}
end
count(KEYS[1], max, window)
return {1, stamp}
