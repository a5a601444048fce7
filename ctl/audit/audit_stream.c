/* The balance of a stream: everything that was added is counted, rejected, … or waits.
 *
 * Position and stream lie in two servers, so they cannot be read in one go. But while the position
 * stays, what is past it only grows, and one answer of XINFO STREAM tells how many entries were
 * added and which is the newest of them: so the reading is exact if the position is the same before
 * and after. Trimming takes away only what lies before the position. */
#include "common/sql.h"
#include "ctl/audit/audit.h"
#include "ctl/db.h"
#include "ctl/sql.h"
#include "ctl/streams/stream_info.h"

#include <stdio.h>
#include <string.h>

enum { TRIES = 100 };

struct position {
    bool exists; /* false: no aggregator ever owned the stream */
    char last_id[ENTRY_ID_SIZE];
    int64_t epoch;
    int64_t base; /* entries-added when the epoch opened */
    int64_t counted;
    int64_t duplicates;
    int64_t rejected;
    int64_t conflicts;
    int64_t lost;
};

static int read_position(PGconn *conn, const char *stream, struct position *p, struct err *e)
{
    PGresult *r = db_query(conn, SQL_READ_POSITION, 1, &stream, e);
    if (!r)
        return err_wrap(e, "postgres");
    *p = (struct position){.exists = PQntuples(r) > 0, .last_id = "0-0", .epoch = 1};
    if (p->exists) {
        p->epoch = db_i64(r, 0, 0);
        snprintf(p->last_id, sizeof p->last_id, "%s", db_text(r, 0, 1));
        p->base = db_i64(r, 0, 2);
        p->counted = db_i64(r, 0, 3);
        p->duplicates = db_i64(r, 0, 4);
        p->rejected = db_i64(r, 0, 5);
        p->conflicts = db_i64(r, 0, 6);
        p->lost = db_i64(r, 0, 7);
    }
    PQclear(r);
    return 0;
}

/* The counts too: a loss is booked without moving the position. */
static bool is_same(const struct position *a, const struct position *b)
{
    return a->exists == b->exists && strcmp(a->last_id, b->last_id) == 0 && a->epoch == b->epoch &&
           a->base == b->base && a->counted == b->counted && a->duplicates == b->duplicates &&
           a->rejected == b->rejected && a->conflicts == b->conflicts && a->lost == b->lost;
}

/* Redis' numbers can be set to anything by XSETID, so sums wrap instead of overflowing. */
static int64_t minus(int64_t a, int64_t b)
{
    return (int64_t)((uint64_t)a - (uint64_t)b);
}

static json_t *balance(const char *stream, const struct position *p, const struct stream_info *info,
                       int64_t waiting)
{
    /* If nobody has counted the stream yet, what was trimmed does not matter: the aggregator
     * will begin with what is there. */
    int64_t base = p->exists ? p->base : minus(info->added, info->length);
    int64_t added = minus(info->added, base);
    int64_t rest = added;
    const int64_t terms[] = {p->counted,   p->duplicates, p->rejected,
                             p->conflicts, p->lost,       waiting};
    for (size_t i = 0; i < sizeof terms / sizeof terms[0]; i++)
        rest = minus(rest, terms[i]);
    return json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "stream", stream,
                     "epoch", p->epoch, "added", added, "counted", p->counted, "duplicates",
                     p->duplicates, "rejected", p->rejected, "conflicts", p->conflicts, "lost",
                     p->lost, "waiting", waiting, "difference", rest);
}

json_t *audit_stream(PGconn *conn, redisContext *redis, const char *stream, struct err *e)
{
    struct position before = {0};
    struct position after = {0};
    struct stream_info info;
    int64_t waiting;
    if (read_position(conn, stream, &before, e))
        return NULL;
    for (int i = 0; i < TRIES; i++) {
        if (stream_info_read(redis, stream, &info, e) ||
            stream_count_after(redis, stream, &info, before.last_id, &waiting, e) ||
            read_position(conn, stream, &after, e))
            return NULL;
        if (is_same(&before, &after))
            return balance(stream, &before, &info, waiting);
        before = after;
    }
    err_set(e, ERR_TIMEOUT, "%s was counted on %d times while it was read: try again", stream,
            TRIES);
    return NULL;
}
