-- hold: keep a message in the caller's hands, or drop it when its code was used.
-- KEYS[1] outbox   KEYS[2] challenge hash
-- ARGV[1] entry   [2] lease   [3] id   [4] most wrong tries   [5] time of the send   [6] life of a code
-- returns {1} held | {0, 'late' or 'lost' or 'none'}
if lease(KEYS[1], ARGV[1]) ~= tonumber(ARGV[2]) then
  return {0, 'lost'}
end
local good_for = use(KEYS[1], ARGV[1], KEYS[2], ARGV[3], tonumber(ARGV[4]), ARGV[5], ARGV[6])
if good_for ~= 'live' then
  return {0, good_for or 'none'}
end
hold(KEYS[1], ARGV[1], ARGV[2], 0)
return {1}
