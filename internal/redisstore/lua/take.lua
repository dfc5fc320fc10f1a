-- take: counts an event of a source of requests: of an address, which counts with its network, or of a user. It runs on
-- a cluster only, where sources live in other slots than phones.
-- KEYS    lists of the events
-- ARGV    their limits, as the prelude describes them
-- returns {1, time} if counted
--         {0, name, wait} if refused, for the list with the longest wait; nothing is counted
-- A second run counts a second event, so that a lost reply never lets a source have more.
local name, longest = refusal(KEYS, ARGV, 1, now)
if longest > 0 then
  return {0, name, longest}
end
count_all(KEYS, ARGV, 1, now)
return {1, text(now)}
