#include "aggregator/entry_id.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static int parse_half(const char *text, char **end, uint64_t *out)
{
    if (*text < '0' || *text > '9')
        return -1;
    errno = 0;
    *out = strtoull(text, end, 10);
    return errno == 0 ? 0 : -1;
}

int entry_id_parse(const char *text, struct entry_id *out)
{
    struct entry_id id;
    char *end;

    if (parse_half(text, &end, &id.ms) != 0 || *end != '-' ||
        parse_half(end + 1, &end, &id.seq) != 0 || *end != '\0')
        return -1;
    *out = id;
    return 0;
}

void entry_id_format(struct entry_id id, char out[ENTRY_ID_TEXT_SIZE])
{
    snprintf(out, ENTRY_ID_TEXT_SIZE, "%llu-%llu", (unsigned long long)id.ms,
             (unsigned long long)id.seq);
}

int entry_id_compare(struct entry_id a, struct entry_id b)
{
    if (a.ms != b.ms)
        return a.ms < b.ms ? -1 : 1;
    return (a.seq > b.seq) - (a.seq < b.seq);
}

struct entry_id entry_id_next(struct entry_id id)
{
    if (id.seq == UINT64_MAX && id.ms == UINT64_MAX)
        return id;
    if (id.seq == UINT64_MAX)
        return (struct entry_id){.ms = id.ms + 1, .seq = 0};
    return (struct entry_id){.ms = id.ms, .seq = id.seq + 1};
}
