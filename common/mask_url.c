/* Passwords out of URLs and connection strings. Where a text is ambiguous (a raw '@' or '/' in a
 * password, say) more is masked rather than less. */
#include "common/str.h"

#include <stdlib.h>
#include <string.h>

static const char MASK[] = "***";

/* Add s, but for the password of scheme://user:password@rest. It reaches to the last '@', because a
 * password may hold one that is not encoded. */
static void add_without_userinfo(struct buf *out, const char *s)
{
    const char *authority = strstr(s, "://");
    const char *at = strrchr(s, '@');
    const char *colon = authority ? strchr(authority + 3, ':') : NULL;
    if (!at || !colon || colon > at) {
        buf_add_str(out, s);
        return;
    }
    buf_add(out, s, (size_t)(colon + 1 - s));
    buf_add_str(out, MASK);
    buf_add_str(out, at);
}

/* The first byte of the value of a parameter whose name ends in "password", or NULL. Both
 * "?password=x" and libpq's "password = x" are taken. */
static const char *find_password(const char *s)
{
    while ((s = strcasestr(s, "password"))) {
        s += strlen("password");
        const char *sign = s + strspn(s, " \t\n");
        if (*sign == '=')
            return sign + 1 + strspn(sign + 1, " \t\n");
    }
    return NULL;
}

/* A quoted value may hold spaces and escaped quotes: all that follows is left out. */
static const char *end_of_value(const char *value)
{
    return value + (*value == '\'' ? strlen(value) : strcspn(value, "& \t\n"));
}

char *str_mask_url(const char *url)
{
    struct buf first = {0};
    struct buf out = {0};
    const char *value;
    add_without_userinfo(&first, url);
    const char *rest = first.data;
    while ((value = find_password(rest))) {
        buf_add(&out, rest, (size_t)(value - rest));
        buf_add_str(&out, MASK);
        rest = end_of_value(value);
    }
    buf_add_str(&out, rest);
    buf_done(&first);
    return buf_take(&out);
}
