#include "common/redis/redis_redirect.h"

#include "common/log.h"
#include "common/metric_table.h"
#include "common/str.h"

#include <stdio.h>
#include <string.h>

enum { PORT_MAX = 65535 };

static bool take_number(const char *s, size_t length, int max, int *out)
{
    int64_t v;
    if (str_to_i64(s, length, &v) != 0 || v < 0 || v > max)
        return false;
    *out = (int)v;
    return true;
}

bool redis_redirect_parse(const char *text, struct redis_redirect *out)
{
    *out = (struct redis_redirect){.is_ask = strncmp(text, "ASK ", 4) == 0};
    if (!out->is_ask && strncmp(text, "MOVED ", 6) != 0)
        return false;
    const char *slot = strchr(text, ' ') + 1;
    size_t slot_length = strcspn(slot, " ");
    const char *host = slot + slot_length + (slot[slot_length] == ' ');
    const char *colon = strrchr(host, ':'); /* an address of IPv6 has colons of its own */
    if (!colon || (size_t)(colon - host) >= sizeof out->host)
        return false;
    (void)snprintf(out->host, sizeof out->host, "%.*s", (int)(colon - host), host);
    return take_number(slot, slot_length, REDIS_SLOTS - 1, &out->slot) &&
           take_number(colon + 1, strlen(colon + 1), PORT_MAX, &out->port) && out->port > 0;
}

int redis_slot_of(const char *key, size_t length)
{
    const char *open = memchr(key, '{', length);
    const char *close = open ? memchr(open, '}', length - (size_t)(open - key)) : NULL;
    if (close && close > open + 1)
        return str_crc16(open + 1, (size_t)(close - open - 1)) % REDIS_SLOTS;
    return str_crc16(key, length) % REDIS_SLOTS;
}

void redis_redirect_count(const struct redis_redirect *to)
{
    metric_count(METRIC_OF_REDIS_REDIRECTS, to->is_ask ? "ask" : "moved");
}

void redis_redirect_log(const struct redis_redirect *to, const char *key)
{
    log_info(redis_redirected, LOG_STR("kind", to->is_ask ? "ask" : "moved"), LOG_STR("key", key),
             LOG_I64("slot", to->slot), LOG_STR("host", to->host), LOG_I64("port", to->port));
}
