-- The verdict: may a tenant use so much more of a metric? The same rule stands in common/verdict.c and in the SQL
-- function decide_quota.
local function decide(q, quantity, now)
  local function within(reason) return 'allow', q.status == 'grace' and 'grace' or reason end
  if q.status == 'blocked' then return 'deny', 'blocked' end
  if not q.limit then return 'deny', 'unknown_metric' end
  if q.limit == 'unlimited' or q.cap == 'none' then return within('ok') end
  local left = plus(plus(plus(decimal(q.limit), q.used, -1), q.held, -1), quantity, -1)
  if not is_negative(left) then return within('ok') end
  if q.cap == 'soft' then return 'allow_over', 'soft_cap' end
  if now < q.grace_until then return 'allow_over', 'grace' end
  return 'deny', 'hard_cap'
end

-- What the quota cache says. FREE has the limits of the plan free, for tenants that are not there.
local function read_quota(key, metric, now)
  local v = redis.call('HMGET', key, 'status', metric .. '.limit', metric .. '.cap', metric .. '.grace_until',
                       metric .. '.used', metric .. '.period_end', metric .. '.as_of')
  local free = not v[1] and FREE[metric] or {}
  local ends = tonumber(v[6]) or 0
  return {status = v[1] or 'active', limit = v[2] or free[1], cap = v[3] or free[2] or 'none',
          grace_until = tonumber(v[4]) or 0, used = now < ends and decimal(v[5]) or NOTHING, as_of = v[7] or '',
          ends = ends}
end

local function answer(verdict, reason, q)
  return {verdict, reason, text_of(q.used), text_of(q.held), q.limit or '', q.cap, string.format('%.0f', q.ends)}
end

local function now_ms()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- What a caller may ask for: at least 0, which asks whether the tenant is within its limit.
local function asked(text)
  local n = text and #text <= 28 and decimal(text)
  return n and not is_negative(n) and n
end
