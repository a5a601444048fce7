-- Exact decimals: 36 digits before the point and nine behind it, in limbs of nine digits, the lowest first. All limbs
-- have the number's sign, so that numbers are added limb by limb; carries are settled where a number is looked at.
local LIMBS, BASE, NOTHING = 5, 1000000000, {0, 0, 0, 0, 0}

-- Text of a decimal, or nil if it is none.
local function decimal(text)
  local sign, whole, point, fraction = string.match(text, '^(%-?)(%d+)(%.?)(%d*)$')
  if not whole or #whole > 36 or #fraction > 9 or (point == '.') ~= (fraction ~= '') then return nil end
  local digits = string.rep('0', 36 - #whole) .. whole .. fraction .. string.rep('0', 9 - #fraction)
  local n = {}
  for i = 1, LIMBS do
    n[LIMBS + 1 - i] = tonumber(string.sub(digits, 9 * i - 8, 9 * i)) * (sign == '-' and -1 or 1)
  end
  return n
end

local function plus(a, b, factor)
  local sum = {}
  for i = 1, LIMBS do sum[i] = a[i] + (factor or 1) * b[i] end
  return sum
end

-- With every limb from 0 to BASE - 1; second: whether the number is negative, and the limbs count up from there.
local function carried(a)
  local n, carry = {}, 0
  for i = 1, LIMBS do
    local limb = a[i] + carry
    carry = math.floor(limb / BASE)
    n[i] = limb - carry * BASE
  end
  return n, carry < 0
end

local function is_negative(a)
  local _, negative = carried(a)
  return negative
end

-- Without trailing zeros.
local function text_of(a)
  local n, negative = carried(a)
  if negative then n = carried(plus(NOTHING, a, -1)) end
  local whole = ''
  for i = LIMBS, 2, -1 do whole = whole .. string.format('%09d', n[i]) end
  local fraction = string.gsub(string.format('%09d', n[1]), '0+$', '')
  whole = string.gsub(whole, '^0+(%d)', '%1')
  return (negative and '-' or '') .. whole .. (fraction ~= '' and '.' .. fraction or '')
end
