"""The scripts by which a Redis (or Valkey) answers what gateways ask: each runs alone, and is all or nothing.

Rules that hold here:
- The same answers as `team/hub_state.py` gives; the tests are the same (tests/state/test_shared.py).
- Time is the server's: gateways' clocks differ. What is kept expires by itself.
- Every key stands in `KEYS`, and all begin with `{gateway}`, so that a cluster has them in one place.
- What a gateway has reserved counts as long as it says that it is there; a session that runs, as long as somebody says
  so. So nothing of one that is gone has to be cleared up.
"""

from __future__ import annotations

from typing import Final

PREFIX: Final = "{gateway}:"

MEMBERS: Final = f"{PREFIX}members"
COOLDOWNS: Final = f"{PREFIX}cooldowns"
REFUSALS: Final = f"{PREFIX}refusals"
USERS: Final = f"{PREFIX}users"
ROOMS: Final = f"{PREFIX}rooms"

NOW: Final = "local t = redis.call('TIME') local now = t[1] + t[2] / 1000000 "

FREE: Final = """
local function free(key, member, dollars)
  local left = (tonumber(redis.call('HGET', key, member)) or 0) - dollars
  if left > 1e-9 then redis.call('HSET', key, member, left) else redis.call('HDEL', key, member) end
end
"""

# KEYS: rates, sessions, reserved, members, then a key for each window.
# ARGV: user, member, unique, rpm, minute, session, sessions, lasts, reserve, before, dead after, then for each window
# its name, its end and the budget. Returns wait, seated, soonest, over, spent …, all as text.
ADMIT: Final = (
    FREE
    + """
local user, member, unique, rpm, minute = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])
local session, sessions, lasts = ARGV[6], tonumber(ARGV[7]), tonumber(ARGV[8])
if rpm > 0 then
  redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - minute)
  local count = redis.call('ZCARD', KEYS[1])
  if count >= rpm then
    local first = redis.call('ZRANGE', KEYS[1], count - rpm, count - rpm, 'WITHSCORES')
    return {string.format('%.6f', math.max(first[2] + minute - now, 0.000001)), '', '0', ''}
  end
  redis.call('ZADD', KEYS[1], now, unique)
  redis.call('EXPIRE', KEYS[1], math.ceil(minute) + 1)
end
local seated = ''
if sessions > 0 then
  redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now)
  if not redis.call('ZSCORE', KEYS[2], session) and redis.call('ZCARD', KEYS[2]) >= sessions then
    local first = redis.call('ZRANGE', KEYS[2], 0, 0, 'WITHSCORES')
    return {'0', '', string.format('%.6f', first[2] - now), ''}
  end
  redis.call('ZADD', KEYS[2], now + lasts, session)
  redis.call('EXPIRE', KEYS[2], math.ceil(lasts) + 1)
  seated = '1'
end
if #KEYS == 4 then return {'0', seated, '0', ''} end
free(KEYS[3], member, tonumber(ARGV[10]))
local reserved, dead = 0, now - tonumber(ARGV[11])
local held = redis.call('HGETALL', KEYS[3])
for i = 1, #held, 2 do
  local seen = held[i] == member and now or tonumber(redis.call('ZSCORE', KEYS[4], held[i])) or 0
  if seen > dead then reserved = reserved + held[i + 1] else redis.call('HDEL', KEYS[3], held[i]) end
end
local answer, over, last = {'0', seated, '0', ''}, '', 0
for i = 5, #KEYS do
  local name, ends, most = ARGV[3 * i - 3], tonumber(ARGV[3 * i - 2]), tonumber(ARGV[3 * i - 1])
  local spent = redis.call('HGET', KEYS[i], user) or '0'
  answer[i] = spent
  if spent + reserved >= most and ends > last then over, last = name, ends end
end
answer[4] = over
if over == '' then
  redis.call('HINCRBYFLOAT', KEYS[3], member, ARGV[9])
  redis.call('EXPIRE', KEYS[3], 86400)
end
return answer
"""
)

# KEYS: reserved, then for each window that of the sums and that of what each ledger knows.
# ARGV: user, member, reserved, dollars, source, then for each window its end. Returns what was spent in each.
SETTLE: Final = (
    FREE
    + """
free(KEYS[1], ARGV[2], tonumber(ARGV[3]))
local spent = {}
for i = 2, #KEYS, 2 do
  spent[i / 2] = redis.call('HINCRBYFLOAT', KEYS[i], ARGV[1], ARGV[4])
  redis.call('HINCRBYFLOAT', KEYS[i + 1], ARGV[1] .. '|' .. ARGV[5], ARGV[4])
  local ends = math.ceil(ARGV[5 + i / 2]) + 3600
  redis.call('EXPIREAT', KEYS[i], ends)
  redis.call('EXPIREAT', KEYS[i + 1], ends)
end
return spent
"""
)

# KEYS: the sums of a window, and what each ledger knows of it. ARGV: source, end, then users and dollars.
KNOWN: Final = """
for i = 3, #ARGV, 2 do
  local field = ARGV[i] .. '|' .. ARGV[1]
  local more = ARGV[i + 1] - (tonumber(redis.call('HGET', KEYS[2], field)) or 0)
  if more > 1e-9 then
    redis.call('HINCRBYFLOAT', KEYS[1], ARGV[i], more)
    redis.call('HSET', KEYS[2], field, ARGV[i + 1])
  end
end
local ends = math.ceil(ARGV[2]) + 3600
redis.call('EXPIREAT', KEYS[1], ends)
redis.call('EXPIREAT', KEYS[2], ends)
"""

# KEYS: rates, sessions, reserved, then for each window that of the sums and that of what each ledger knows. ARGV: user.
FORGET: Final = """
redis.call('DEL', KEYS[1], KEYS[2], KEYS[3])
for i = 4, #KEYS, 2 do
  redis.call('HDEL', KEYS[i], ARGV[1])
  for _, field in ipairs(redis.call('HKEYS', KEYS[i + 1])) do
    if string.sub(field, 1, #ARGV[1] + 1) == ARGV[1] .. '|' then redis.call('HDEL', KEYS[i + 1], field) end
  end
end
"""

# KEYS: reserved. ARGV: member, dollars.
HOLD: Final = """
if tonumber(ARGV[2]) > 0 then
  redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
  redis.call('EXPIRE', KEYS[1], 86400)
else
  redis.call('HDEL', KEYS[1], ARGV[1])
end
"""

# KEYS: sessions. ARGV: lasts, then those that are still here (or have just ended).
STAY: Final = """
for i = 2, #ARGV do redis.call('ZADD', KEYS[1], 'XX', now + ARGV[1], ARGV[i]) end
redis.call('EXPIRE', KEYS[1], math.ceil(ARGV[1]) + 1)
"""

# KEYS: cooldowns. ARGV: field, until, message, channel, what is published.
COOL: Final = """
for _, field in ipairs(redis.call('HKEYS', KEYS[1])) do
  local ends = tonumber(string.match(redis.call('HGET', KEYS[1], field), '^[^|]*'))
  if ends <= now or (field == ARGV[1] and ends < tonumber(ARGV[2])) then redis.call('HDEL', KEYS[1], field) end
end
redis.call('HSETNX', KEYS[1], ARGV[1], ARGV[2] .. '|' .. ARGV[3])
redis.call('PUBLISH', ARGV[4], ARGV[5])
"""

# KEYS: cooldowns, refusals. ARGV: fingerprint, model or nothing, channel, what is published.
RESUME: Final = """
for _, field in ipairs(redis.call('HKEYS', KEYS[1])) do
  local mark, model = string.match(field, '^([^|]*)|(.*)$')
  if mark == ARGV[1] and (ARGV[2] == '' or model == '' or model == ARGV[2]) then redis.call('HDEL', KEYS[1], field) end
end
redis.call('HDEL', KEYS[2], ARGV[1])
redis.call('PUBLISH', ARGV[3], ARGV[4])
"""

# KEYS: a table. ARGV: field, until, message, channel, what is published.
KEEP: Final = """
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2] .. '|' .. ARGV[3])
redis.call('EXPIRE', KEYS[1], 2678400)
redis.call('PUBLISH', ARGV[4], ARGV[5])
"""

# KEYS: the seat of a session. ARGV: seconds, fingerprint, channel, what is published.
MOVE: Final = """
redis.call('SET', KEYS[1], ARGV[2], 'EX', ARGV[1])
redis.call('PUBLISH', ARGV[3], ARGV[4])
"""

# KEYS: the seat of a session. ARGV: seconds, fingerprint.
SIT: Final = """
local known = redis.call('GET', KEYS[1]) or ARGV[2]
redis.call('SET', KEYS[1], known, 'EX', ARGV[1])
return known
"""

# KEYS: a claim. ARGV: who, seconds.
CLAIM: Final = """
local known = redis.call('GET', KEYS[1]) or ''
local ends, who = string.match(known, '^([^|]*)|(.*)$')
if not who or tonumber(ends) <= now or who == ARGV[1] then
  redis.call('SET', KEYS[1], string.format('%.6f', now + ARGV[2]) .. '|' .. ARGV[1], 'EX', math.ceil(ARGV[2]))
  return ARGV[1]
end
return who
"""

# KEYS: members. ARGV: member. (Adds before it removes: a server without memory refuses only what begins with adding.)
HERE: Final = """
redis.call('ZADD', KEYS[1], now, ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - 3600)
"""

# KEYS: users. ARGV: public id, when, what was told, channel, what is published.
USER: Final = """
local known = redis.call('HGET', KEYS[1], ARGV[1])
if not known or tonumber(string.match(known, '^[^|]*')) < tonumber(ARGV[2]) then
  redis.call('HSET', KEYS[1], ARGV[1], ARGV[2] .. '|' .. ARGV[3])
  redis.call('PUBLISH', ARGV[4], ARGV[5])
end
"""

# KEYS: the versions of a day, and the rows of a ledger's day. ARGV: seconds, source, version, rows.
SUM: Final = """
redis.call('SET', KEYS[2], ARGV[4], 'EX', ARGV[1])
redis.call('HSET', KEYS[1], ARGV[2], ARGV[3])
redis.call('EXPIRE', KEYS[1], ARGV[1])
"""

# KEYS: the sums of windows, or the versions of days. Returns each as one text: thousands of answers would take thirty
# milliseconds to read.
TOTALS: Final = """
local found = {}
for i = 1, #KEYS do found[i] = cjson.encode(redis.call('HGETALL', KEYS[i])) end
return found
"""

# KEYS: cooldowns, refusals, rooms. Returns the messages.
WHAT_HOLDS: Final = """
local found = {}
for i = 1, #KEYS do
  for _, row in ipairs(redis.call('HVALS', KEYS[i])) do
    local ends, message = string.match(row, '^([^|]*)|(.*)$')
    if ends == '' or tonumber(ends) > now then found[#found + 1] = message end
  end
end
return found
"""

SCRIPTS: Final = (
    WHAT_HOLDS,
    ADMIT,
    SUM,
    USER,
    TOTALS,
    SETTLE,
    KNOWN,
    FORGET,
    HOLD,
    STAY,
    COOL,
    RESUME,
    KEEP,
    MOVE,
    SIT,
    CLAIM,
    HERE,
)
