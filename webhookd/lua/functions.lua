-- What services call. keys[1] is always the hash quota:{<tenant>}. Answers of check and reserve: verdict, reason, used,
-- held, limit, cap, and the time (Unix ms) at which used begins anew, 0 if nothing was used.
local function refuse(text) return redis.error_reply('ERR meterline: ' .. text) end

local QUANTITY = 'the quantity must be a decimal from 0 on, with at most 18 digits before the point and 9 behind it'

-- metric quantity [now_ms]
local function check(keys, args)
  local quantity, now = asked(args[2]), args[3] and tonumber(args[3]) or now_ms()
  if not quantity then return refuse(QUANTITY) end
  local q = read_quota(keys[1], args[1], now)
  local h = open_holds(keys[1], args[1])
  q.held = held_now(h, ended(h, q.as_of, now))
  local verdict, reason = decide(q, quantity, now)
  return answer(verdict, reason, q)
end

-- metric quantity id ttl_ms: as check, and holds the quantity unless the verdict is deny. The same id again changes
-- nothing, and is allowed again.
local function reserve(keys, args)
  local metric, quantity, id, ttl, now = args[1], asked(args[2]), args[3] or '', tonumber(args[4]), now_ms()
  if not quantity then return refuse(QUANTITY) end
  if not string.match(id, '^[!-~]+$') or #id > 255 then
    return refuse('the id of a reservation must be 1 to 255 printable ASCII characters without spaces')
  end
  if not ttl or ttl < 1 or ttl > TTL_MS then
    return refuse('the time to live of a reservation must be from 1 to 86400000 ms')
  end
  local q = read_quota(keys[1], metric, now)
  local h = open_holds(keys[1], metric)
  drop(h, ended(h, q.as_of, now))
  local known = find(h, id)
  q.held = known and held_now(h, {known}) or h.sum
  local verdict, reason = decide(q, quantity, now)
  if known and verdict == 'deny' then verdict, reason = 'allow', 'ok' end
  if not known and verdict ~= 'deny' then add(h, id, quantity, now + ttl, '') end
  if q.limit then save(h) end
  return answer(verdict, reason, q)
end

-- metric id entry [quantity]: the usage was emitted as that entry of the stream ('' if there was none), maybe with
-- another quantity. What is held then ends when used has it. 1, or 0 if there is no such reservation any more.
local function settle(keys, args)
  local metric, id, entry, now = args[1], args[2] or '', args[3] or '', now_ms()
  if entry ~= '' and not string.match(entry, '^%d+%-%d+$') then
    return refuse('the entry must be the id that XADD answered, or empty if nothing was emitted')
  end
  if args[4] and not asked(args[4]) then return refuse(QUANTITY) end
  local h, as_of = open_holds(keys[1], metric), read_quota(keys[1], metric, now).as_of
  drop(h, ended(h, as_of, now))
  local member = find(h, id)
  if member then drop(h, {member}) end
  if member and entry ~= '' and not is_counted(entry, as_of) then
    add(h, id, asked(args[4] or '') or parts_of(member).quantity, now + SETTLED_MS, entry)
  end
  save(h)
  return member and 1 or 0
end

redis.register_function{function_name = 'meterline_check', callback = check, flags = {'no-writes'}}
redis.register_function('meterline_reserve', reserve)
redis.register_function('meterline_settle', settle)
redis.register_function{function_name = 'meterline_library', callback = function() return LIBRARY end,
                        flags = {'no-writes'}}
