-- One node tells what it spent and gives back, and takes more. KEYS: the limit's key.
-- ARGV: node, epoch, spent, back, need, extra, lease in ms, nodes, then limit and span in microseconds of each window.
local t = redis.call('TIME')
local now = tonumber(t[1]) * 1000000 + tonumber(t[2])
local me, epoch, spent, back = 'h' .. ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local need, extra, lease = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7]) * 1000
local nodes = math.max(1, tonumber(ARGV[8]))

local last, levels, holders = now, {}, {}
local fields = redis.call('HGETALL', KEYS[1])
for i = 1, #fields, 2 do
  local name, value = fields[i], fields[i + 1]
  local kind = string.sub(name, 1, 1)
  if kind == 't' then
    last = tonumber(value)
  elseif kind == 'l' then
    levels[tonumber(string.sub(name, 2))] = tonumber(value)
  else
    local e, out, ends = string.match(value, '^(%d+) (%d+) (%d+)$')
    holders[name] = { epoch = tonumber(e), out = tonumber(out), ends = tonumber(ends) }
  end
end

-- A clock that went back a little stands; one that went back far begins anew, without a refill for the difference.
if now < last then
  if last - now > 1000000 then last = now else now = last end
end

-- What was outstanding at nodes that fell silent counts as spent, at the last moment at which they could.
local outstanding, silent = 0, last
for name, holder in pairs(holders) do
  outstanding = outstanding + holder.out
  if holder.ends <= now and holder.ends > silent then silent = holder.ends end
end
local windows = (#ARGV - 8) / 2
local function refill(from, to)
  for i = 1, windows do
    local limit, span = tonumber(ARGV[7 + 2 * i]), tonumber(ARGV[8 + 2 * i])
    local most = math.max(0, limit - outstanding)
    local level = levels[i] or most
    levels[i] = math.min(level + (to - from) * limit / span, math.max(most, 0))
  end
end
refill(last, silent)
local gone = {}
for name, holder in pairs(holders) do
  if holder.ends <= now then
    outstanding = outstanding - holder.out
    holders[name] = nil
    gone[#gone + 1] = name
  end
end
refill(silent, now)

local own, known = holders[me], 1
if own and own.epoch > epoch then
  return { -1 }
end
if own and own.epoch < epoch then
  outstanding = outstanding - own.out
  own = nil
elseif not own and spent + back > 0 then
  known = 0
end
if not own then
  own = { epoch = epoch, out = 0 }
  spent, back = 0, 0
end
back = math.min(back, own.out)
spent = math.min(spent, own.out - back)
own.out = own.out - spent - back

local free = nil
for i = 1, windows do
  levels[i] = levels[i] + back
  if not free or levels[i] < free then free = levels[i] end
end
free = math.floor(free)
local ready = math.min(need, free)
-- The emptier it is, the smaller the shares: nobody is refused for the sake of what others only might use.
local granted = math.min(extra, math.floor((free - ready) / (8 * nodes)))
own.out = own.out + granted

local reply, wait, full, set = { known, ready, granted }, 0, 0, { 't', string.format('%.0f', now) }
for i = 1, windows do
  local limit, span = tonumber(ARGV[7 + 2 * i]), tonumber(ARGV[8 + 2 * i])
  levels[i] = levels[i] - ready - granted
  wait = math.max(wait, (1 - levels[i]) * span / limit)
  full = math.max(full, (limit - levels[i]) * span / limit)
  local text = string.format('%.17g', levels[i])
  set[#set + 1] = 'l' .. i
  set[#set + 1] = text
  reply[#reply + 1] = text
end
table.insert(reply, 4, math.max(0, math.ceil(wait)))
set[#set + 1] = me
set[#set + 1] = string.format('%.0f %.0f %.0f', epoch, own.out, now + lease)
if #gone > 0 then redis.call('HDEL', KEYS[1], unpack(gone)) end
redis.call('HSET', KEYS[1], unpack(set))
redis.call('PEXPIRE', KEYS[1], math.ceil((full + lease) / 1000) + 1000)
return reply
