#include "api/door/routing.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

/* Whether it is a path of this pattern; *names: how many of its parts are {names}. */
static bool fits(const char *pattern, const struct target *t, int *names)
{
    *names = 0;
    for (int i = 0; i < t->segments_n; i++) {
        if (*pattern != '/')
            return false;
        pattern++;
        size_t length = strcspn(pattern, "/");
        if (*pattern == '{') {
            if (!*t->segments[i])
                return false;
            ++*names;
        } else if (strlen(t->segments[i]) != length ||
                   memcmp(pattern, t->segments[i], length) != 0) {
            return false;
        }
        pattern += length;
    }
    return !*pattern;
}

const struct api_route *route_find(const struct api_route *const *tables, const char *method,
                                   const struct target *target, char allowed[ROUTE_METHODS_SIZE])
{
    const struct api_route *found = NULL;
    int least = TARGET_SEGMENTS_MAX + 1;
    allowed[0] = '\0';
    for (const struct api_route *const *table = tables; *table; table++)
        for (const struct api_route *r = *table; r->method; r++) {
            int names;
            if (!fits(r->path, target, &names) || names > least)
                continue;
            if (names < least) {
                allowed[0] = '\0';
                found = NULL;
            }
            least = names;
            size_t length = strlen(allowed);
            snprintf(allowed + length, ROUTE_METHODS_SIZE - length, "%s%s", length ? ", " : "",
                     r->method);
            if (strcmp(r->method, method) == 0)
                found = r;
        }
    return found;
}
