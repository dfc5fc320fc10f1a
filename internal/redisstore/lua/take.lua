-- take: counts an event of a source of requests: of an address, which counts with its network, or of a user. It runs on
-- a cluster only, where sources live in other slots than phones.
-- KEYS    lists of the events
-- ARGV    for each list the most events, the window, the word for the limit, and 1 if the event counts, 0 if the list
--         is only asked
-- returns {1, time} if counted
--         {0, word, wait} if refused, for the limit with the longest wait; nothing is counted
-- A second run counts a second event, so that a lost reply never lets a source have more.
local word, longest = refusal(KEYS, ARGV, 1, now)
if longest > 0 then
  return {0, word, longest}
end
count_all(KEYS, ARGV, 1, now)
return {1, text(now)}
