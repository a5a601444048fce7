/* The path and the query of a request, taken apart and decoded. Pure. */
#ifndef METERLINE_API_TARGET_H
#define METERLINE_API_TARGET_H

enum { TARGET_SEGMENTS_MAX = 12, TARGET_QUERY_MAX = 32 };

struct target_pair {
    char *name;
    char *value;
};

struct target {
    char *segments[TARGET_SEGMENTS_MAX]; /* "/api/x" has "api" and "x" */
    int segments_n;
    struct target_pair query[TARGET_QUERY_MAX];
    int query_n;
};

/* text: as it came, such as "/api/billing/usage?metric=a%20b". Returns 0; or -1 with what is wrong
 * in *why (static): bytes that are no UTF-8 or control characters, a % that stands for nothing, too
 * many parts. Give it to target_done in any case. */
int target_parse(const char *text, struct target *t, const char **why);
void target_done(struct target *t);

#endif
