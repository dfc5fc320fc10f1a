-- hold: keep a message in the caller's hands, or drop it when its code was used.
-- KEYS[1] outbox   KEYS[2] challenge hash
-- ARGV[1] entry   [2] lease   [3] id   [4] most wrong tries   [5] time of the send   [6] life of a code
-- returns 'held' | 'late' | 'lost' | 'none'
if lease(KEYS[1], ARGV[1]) ~= tonumber(ARGV[2]) then
  return 'lost'
end
if not live(KEYS[2], ARGV[3], tonumber(ARGV[4])) then
  if late(ARGV[5], ARGV[6]) then
    return 'late'
  end
  drop(KEYS[1], ARGV[1])
  return 'none'
end
hold(KEYS[1], ARGV[1], ARGV[2], 0)
return 'held'
