-- batch: runs a script for every call of a batch, in turn. It stands after every script, which is the body of decide.
-- A call that fails does not stop the others.
-- KEYS   the keys of all calls, one call after another
-- ARGV   for each call the number of its keys, the number of its arguments, and its arguments
-- returns for each call {reply} | {false, error}
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local replies, key, arg = {}, 1, 1
while ARGV[arg] do
  -- Advance the clock by 1 µs per call: a send is identified by its timestamp, so two calls of a batch must not share
  -- one.
  now = now + 1
  local key_count, arg_count = tonumber(ARGV[arg]), tonumber(ARGV[arg + 1])
  arg = arg + 2
  local keys, args = {unpack(KEYS, key, key + key_count - 1)}, {unpack(ARGV, arg, arg + arg_count - 1)}
  local ok, reply = pcall(decide, keys, args, now)
  if ok then
    table.insert(replies, {reply})
  else
    table.insert(replies, {false, tostring(type(reply) == 'table' and reply.err or reply)})
  end
  key, arg = key + key_count, arg + arg_count
end
return replies
