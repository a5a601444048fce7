#include "ctl/streams/stream_lease.h"

#include "ctl/db.h"
#include "ctl/sql.h"

#include <stdio.h>
#include <stdlib.h>

static void copy(char *out, size_t size, const PGresult *r, int column)
{
    snprintf(out, size, "%s", db_text(r, 0, column));
}

int stream_lease_take(struct stream_lease *l, PGconn *conn, struct err *e)
{
    const char *values[] = {l->stream, l->owner, STREAM_LEASE_S};
    PGresult *r = db_query(conn, SQL_LEASE_TAKE, 3, values, e);
    if (!r)
        return err_wrap(e, "postgres");
    copy(l->epoch, sizeof l->epoch, r, 0);
    copy(l->last_id, sizeof l->last_id, r, 1);
    copy(l->token, sizeof l->token, r, 2);
    copy(l->next_token, sizeof l->next_token, r, 3);
    l->outcomes = db_i64(r, 0, 4);
    copy(l->ledger, sizeof l->ledger, r, 5);
    l->takeovers = (int32_t)db_i64(r, 0, 6);
    l->added = db_i64(r, 0, 7);
    PQclear(r);
    return 0;
}

int stream_lease_release(const struct stream_lease *l, PGconn *conn, bool untouched, struct err *e)
{
    const char *values[] = {l->stream, l->owner, untouched ? "true" : "false"};
    return db_run(conn, SQL_LEASE_RELEASE, 3, values, NULL, e);
}

struct epoch_mark stream_lease_mark(const struct stream_lease *l, int64_t extra)
{
    struct epoch_mark mark = {.epoch = atoi(l->epoch), .takeovers = l->takeovers};
    snprintf(mark.token, sizeof mark.token, "%s", l->next_token);
    snprintf(mark.ledger, sizeof mark.ledger, "%s", l->ledger);
    if (l->outcomes > 0) {
        mark.epoch++;
        mark.ended_added = l->outcomes + extra;
        snprintf(mark.ended, sizeof mark.ended, "%s", l->token);
    }
    return mark;
}
