/* The Lua function that the aggregator and webhookd run before they write a hash of the quota
 * cache: may this ledger write it? The hash's field `ledger` names the ledger whose stages do. A
 * hash of another ledger is left alone, and the caller logs quota_foreign; without the field,
 * whichever had the higher version would win. */
#ifndef METERLINE_QUOTA_OWNER_H
#define METERLINE_QUOTA_OWNER_H

/* "<takeovers>:<ledger_id>", of ledger_identity. */
enum { LEDGER_NAME_SIZE = 52 };

/* A Lua function to run before writing to a hash. claim(key, ours) makes the hash ours and returns
 * nil, or it returns the name of the ledger that the hash belongs to, and nothing may be written.
 * A hash of a ledger whose streams were taken over since (meterctl stream adopt gives ours the
 * higher number of takeovers) is deleted. So is a key that is no hash: somebody else put it there.
 */
#define QUOTA_OWNER_LUA                                                                            \
    "local function claim(key, ours)\n"                                                            \
    "  local kind = redis.call('TYPE', key).ok\n"                                                  \
    "  if kind ~= 'hash' and kind ~= 'none' then redis.call('UNLINK', key) end\n"                  \
    "  local theirs = redis.call('HGET', key, 'ledger')\n"                                         \
    "  if theirs == ours then return nil end\n"                                                    \
    "  local n, id = string.match(theirs or '', '^(%d+):(.+)$')\n"                                 \
    "  local m, own = string.match(ours, '^(%d+):(.+)$')\n"                                        \
    "  if n and id ~= own then\n"                                                                  \
    "    if tonumber(n) >= tonumber(m) then return theirs end\n"                                   \
    "    redis.call('DEL', key)\n"                                                                 \
    "  end\n"                                                                                      \
    "  redis.call('HSET', key, 'ledger', ours)\n"                                                  \
    "  return nil\n"                                                                               \
    "end\n"

#endif
