-- batch: stands around every script. Calls that are made at the same time share a round trip; each is decided by
-- itself, one after the other, and fails by itself.
-- KEYS, ARGV[1…] those of all calls in turn, before each call's arguments how many keys and how many arguments it has
-- returns for each call {reply} | {false, error}
local replies, key, arg = {}, 1, 1
while ARGV[arg] do
  now = now + 1 -- a time stands for one send
  stamp = text(now)
  local keys, args = tonumber(ARGV[arg]), tonumber(ARGV[arg + 1])
  arg = arg + 2
  local ok, reply = pcall(decide, {unpack(KEYS, key, key + keys - 1)}, {unpack(ARGV, arg, arg + args - 1)})
  if ok then
    table.insert(replies, {reply})
  else
    table.insert(replies, {false, tostring(type(reply) == 'table' and reply.err or reply)})
  end
  key, arg = key + keys, arg + args
end
return replies
