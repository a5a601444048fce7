/* Whose a hash of the quota cache is. Its field `ledger` names the ledger whose stages write it, so
 * that those of another one, started at this Redis by mistake, leave it alone, and are not ignored
 * either because their versions happen to be lower. */
#ifndef METERLINE_QUOTA_OWNER_H
#define METERLINE_QUOTA_OWNER_H

/* "<takeovers>:<ledger_id>", of ledger_identity. */
enum { LEDGER_NAME_SIZE = 52 };

/* Lua, before whoever writes into a hash: claim(key, ours) makes the hash ours and returns nil; or
 * returns the name of the ledger that it belongs to, and must not be touched. What another ledger
 * left whose streams were taken over since (meterctl stream adopt makes ours the greater number of
 * takeovers) goes, whole. What is no hash was put there by somebody else: it goes too. */
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
