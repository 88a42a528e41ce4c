-- Keeps limits that several processes share. All that one run of it is told happens at once, or not at all.
--
-- KEYS[1]      this process's last number
-- KEYS[2..]    the limits
-- ARGV         process, number, milliseconds that its leases live, how many calls, then for each limit:
--                kind ("r": a rate, "s": a stock)
--                a      rate: microseconds for one     stock: the cap
--                b      rate: the burst                stock: milliseconds after which it may be forgotten
--                add    rate: used beside a lease      stock: spent since the last run
--                hold   stock: what the process holds
--                extra  what it would lease ahead
--                seed   stock: what is known to be spent at least
--              and for each call: how many limits, then of each its place and its amount.
--
-- Returns for each call the place of the limit that it does not fit into (0: it fits) and the microseconds to wait
-- (-1: nobody knows); then for each limit what was leased ahead, and what is spent.
--
-- A number that was seen before is the same run told again, since its answer was lost: what it adds is not added twice.

local clock = redis.call('TIME')
local now = tonumber(clock[1]) * 1000000 + tonumber(clock[2])
local process, number, lease, calls = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local function text(value) return string.format('%.0f', value) end

local is_told_again = redis.call('GET', KEYS[1]) == number
redis.call('SET', KEYS[1], number, 'PX', 600000)

local limits = {}
for i = 1, #KEYS - 1 do
  local at = 4 + (i - 1) * 7
  local one = {
    key = KEYS[i + 1], kind = ARGV[at + 1], a = tonumber(ARGV[at + 2]), b = tonumber(ARGV[at + 3]),
    add = is_told_again and 0 or tonumber(ARGV[at + 4]), hold = tonumber(ARGV[at + 5]),
    extra = tonumber(ARGV[at + 6]), seed = tonumber(ARGV[at + 7]), taken = 0, lacked = false, spent = 0,
  }
  if one.kind == 'r' then
    local full_at = tonumber(redis.call('GET', one.key) or '0')
    if one.add > 0 then full_at = math.max(full_at, now) end
    one.full_at = math.max(full_at + one.add * one.a, now)
    one.room = one.b - (one.full_at - now) / one.a
  else
    local others, gone = 0, {}
    local fields = redis.call('HGETALL', one.key)
    local values = {}
    for f = 1, #fields, 2 do values[fields[f]] = tonumber(fields[f + 1]) end
    for field, value in pairs(values) do
      if string.sub(field, 1, 2) == 'h:' then
        local who = string.sub(field, 3)
        if (values['x:' .. who] or 0) <= now then
          gone[#gone + 1] = field
          gone[#gone + 1] = 'x:' .. who
        elseif who ~= process then
          others = others + value
        end
      end
    end
    if #gone > 0 then redis.call('HDEL', one.key, unpack(gone)) end
    one.spent = math.max(values['s'] or 0, one.seed) + one.add
    one.room = one.a - one.spent - others - one.hold
  end
  limits[i] = one
end

local answer = {}
local at = 4 + #limits * 7
for _ = 1, calls do
  local count = tonumber(ARGV[at + 1])
  local lacking, wait = 0, 0
  for k = 1, count do
    local place, amount = tonumber(ARGV[at + 2 * k]), tonumber(ARGV[at + 2 * k + 1])
    local one = limits[place]
    local needed = amount
    if one.kind == 'r' then needed = math.min(amount, one.b) end
    if amount > 0 and needed > one.room + 0.000001 then
      one.lacked = true
      local missing = -1
      if one.kind == 'r' then missing = math.ceil((needed - one.room) * one.a) end
      if lacking == 0 or missing == -1 or (wait >= 0 and missing > wait) then lacking, wait = place, missing end
    end
  end
  if lacking == 0 then
    for k = 1, count do
      local one, amount = limits[tonumber(ARGV[at + 2 * k])], tonumber(ARGV[at + 2 * k + 1])
      one.taken = one.taken + amount
      one.room = one.room - amount
    end
  end
  answer[#answer + 1] = lacking
  answer[#answer + 1] = wait
  at = at + 1 + 2 * count
end

for _, one in ipairs(limits) do
  local ahead = 0
  if one.extra > 0 and not one.lacked then ahead = math.max(math.min(one.extra, math.floor(one.room / 8)), 0) end
  if one.kind == 'r' then
    local full_at = one.full_at + (one.taken + ahead) * one.a
    if full_at > now then
      redis.call('SET', one.key, text(full_at), 'PX', text(math.ceil((full_at - now) / 1000) + 1000))
    else
      redis.call('DEL', one.key)
    end
  else
    local hold = one.hold + one.taken + ahead
    redis.call('HSET', one.key, 's', text(one.spent))
    if hold > 0 then
      redis.call('HSET', one.key, 'h:' .. process, text(hold), 'x:' .. process, text(now + lease * 1000))
    else
      redis.call('HDEL', one.key, 'h:' .. process, 'x:' .. process)
    end
    redis.call('PEXPIRE', one.key, text(one.b))
  end
  answer[#answer + 1] = ahead
  answer[#answer + 1] = text(one.spent)
end
return answer
