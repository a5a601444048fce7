-- What is reserved. Of a tenant's metric there are three sorted sets with the same members, "id quantity due entry":
-- all by id; due by the time at which a hold ends by itself; settled by the time in the id of the stream's entry that
-- settled it. The hash has the sum. Nothing here uses HDEL, DEL or EXPIRE, by which the stages see that keys may have
-- been lost (common/redis/redis_stamp.h).
local SETTLED_MS, TTL_MS = 3600000, 86400000 -- at most: after a settlement, and before

local function open_holds(key, metric)
  local base = 'holds:' .. string.sub(key, 7)
  local h = {sums = base, metric = metric, all = base .. ':' .. metric, due = base .. ':' .. metric .. ':due',
             settled = base .. ':' .. metric .. ':settled'}
  h.sum = decimal(redis.call('HGET', h.sums, metric) or '0')
  return h
end

local function parts_of(member)
  local id, quantity, due, entry = string.match(member, '^(%S+) (%S+) (%S+) (%S*)$')
  return {id = id, quantity = decimal(quantity), due = due, entry = entry}
end

local function is_counted(entry, as_of)
  local function padded(id)
    return string.gsub(id, '%d+', function(n) return string.rep('0', 20 - #n) .. n end)
  end
  return (padded(entry)) <= (padded(as_of))
end

-- Those that have ended: their time is over, or what settled them is counted in used.
local function ended(h, as_of, now)
  local members, seen = redis.call('ZRANGEBYSCORE', h.due, '-inf', now), {}
  for _, member in ipairs(members) do seen[member] = true end
  local counted = string.match(as_of, '^%d+')
  if not counted then return members end
  for _, member in ipairs(redis.call('ZRANGEBYSCORE', h.settled, '-inf', counted)) do
    if not seen[member] and is_counted(parts_of(member).entry, as_of) then members[#members + 1] = member end
  end
  return members
end

local function held_now(h, members)
  local sum = h.sum
  for _, member in ipairs(members) do sum = plus(sum, parts_of(member).quantity, -1) end
  return sum
end

local function drop(h, members)
  for _, member in ipairs(members) do
    redis.call('ZREM', h.all, member)
    redis.call('ZREM', h.due, member)
    redis.call('ZREM', h.settled, member)
  end
  h.sum = held_now(h, members)
end

local function add(h, id, quantity, due, entry)
  local member = string.format('%s %s %.0f %s', id, text_of(quantity), due, entry)
  redis.call('ZADD', h.all, 0, member)
  redis.call('ZADD', h.due, due, member)
  if entry ~= '' then redis.call('ZADD', h.settled, string.match(entry, '^%d+'), member) end
  h.sum = plus(h.sum, quantity)
end

local function save(h) redis.call('HSET', h.sums, h.metric, text_of(h.sum)) end

local function find(h, id)
  return redis.call('ZRANGEBYLEX', h.all, '[' .. id .. ' ', '(' .. id .. '!')[1]
end
