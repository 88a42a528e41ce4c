-- Keep an entry, and throw out what is too old, and the oldest where there is too much: in one step, so that what is
-- summed up is true whoever else writes.
--
-- KEYS: when each was kept (a sorted set), how large each is (a hash), how large all are
-- ARGV: what names begin with, name, value, size, now, seconds to live, most bytes in all
local ages, sizes, total = KEYS[1], KEYS[2], KEYS[3]
local prefix, name, value = ARGV[1], ARGV[2], ARGV[3]
local size, now, ttl, most = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])

local old = tonumber(redis.call('HGET', sizes, name) or 0)
redis.call('SET', prefix .. name, value, 'PX', math.max(1, math.floor(ttl * 1000)))
redis.call('ZADD', ages, now, name)
redis.call('HSET', sizes, name, size)
local sum = redis.call('INCRBY', total, size - old)

for _ = 1, 1000 do
  local first = redis.call('ZRANGE', ages, 0, 0, 'WITHSCORES')
  if not first[1] or (tonumber(first[2]) > now - ttl and sum <= most) then
    break
  end
  local gone = tonumber(redis.call('HGET', sizes, first[1]) or 0)
  redis.call('DEL', prefix .. first[1])
  redis.call('ZREM', ages, first[1])
  redis.call('HDEL', sizes, first[1])
  sum = redis.call('DECRBY', total, gone)
end
for _, key in ipairs(KEYS) do
  redis.call('PEXPIRE', key, math.max(1, math.floor(ttl * 2000)))
end
return sum
