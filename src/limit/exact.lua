-- Charges one request to every window of every key, or to none. KEYS: the keys of the charges.
-- ARGV: cost (1; 0 only looks; -1 gives one back), then for each key its number of windows, and limit and span in
-- microseconds of each. Answers whether all fit, and every level afterwards.
local t = redis.call('TIME')
local clock = tonumber(t[1]) * 1000000 + tonumber(t[2])
local cost, at, fits = tonumber(ARGV[1]), 2, 1
local states, reply = {}, { 1 }
for k = 1, #KEYS do
  local windows = tonumber(ARGV[at])
  local names = { 't' }
  for i = 1, windows do names[#names + 1] = 'l' .. i end
  local found = redis.call('HMGET', KEYS[k], unpack(names))
  local now, last = clock, tonumber(found[1] or clock)
  if now < last then
    if last - now > 1000000 then last = now else now = last end
  end
  local state = { now = now, levels = {}, full = 0, at = at }
  for i = 1, windows do
    local limit, span = tonumber(ARGV[at + 2 * i - 1]), tonumber(ARGV[at + 2 * i])
    local level = tonumber(found[i + 1] or limit)
    level = math.min(level + (now - last) * limit / span, limit)
    if level < 1 then fits = 0 end
    state.levels[i] = level
  end
  states[k] = state
  at = at + 1 + 2 * windows
end
reply[1] = fits
for k = 1, #KEYS do
  local state = states[k]
  local set = { 't', string.format('%.0f', state.now) }
  for i = 1, #state.levels do
    local limit, span = tonumber(ARGV[state.at + 2 * i - 1]), tonumber(ARGV[state.at + 2 * i])
    if cost < 0 or (cost > 0 and fits == 1) then
      state.levels[i] = math.min(state.levels[i] - cost, limit)
    end
    local text = string.format('%.17g', state.levels[i])
    set[#set + 1] = 'l' .. i
    set[#set + 1] = text
    reply[#reply + 1] = text
    state.full = math.max(state.full, (limit - state.levels[i]) * span / limit)
  end
  if cost ~= 0 then
    redis.call('HSET', KEYS[k], unpack(set))
    redis.call('PEXPIRE', KEYS[k], math.ceil(state.full / 1000) + 1000)
  end
end
return reply
