#include "sink/ledger_check/ledger_rows.h"

#include <stdlib.h>
#include <string.h>

/* Columns of read_ledger.sql. */
enum {
    LEDGER_ID,
    IS_KNOWN,
    LIFE,
    IS_FIRST,
    PICKS,
    REDIS_RUN,
    HAS_PAST,
    STREAM,
    EPOCH,
    TOKEN,
    RESET_TOKEN,
    LAST_ID
};

static bool is_true(const PGresult *r, int column)
{
    return *PQgetvalue(r, 0, column) == 't';
}

bool ledger_row_known(const PGresult *r)
{
    return is_true(r, IS_KNOWN);
}

const char *ledger_row_ledger(const PGresult *r)
{
    return PQgetvalue(r, 0, LEDGER_ID);
}

const char *ledger_row_life(const PGresult *r)
{
    return PQgetvalue(r, 0, LIFE);
}

int64_t ledger_row_picks(const PGresult *r)
{
    return strtoll(PQgetvalue(r, 0, PICKS), NULL, 10);
}

static int count_streams(const PGresult *r)
{
    return PQgetisnull(r, 0, STREAM) ? 0 : PQntuples(r);
}

void ledger_row_name_streams(const PGresult *r, struct ledger_answers *answers)
{
    ledger_answers_init(answers, count_streams(r));
    for (int i = 0; i < answers->count; i++)
        ledger_answers_name(answers, i, PQgetvalue(r, i, STREAM));
}

bool ledger_row_add_positions(const PGresult *r, struct ledger_answers *answers)
{
    if (count_streams(r) != answers->count)
        return false;
    for (int i = 0; i < answers->count; i++) {
        struct ledger_stream *s = &answers->streams[i];
        if (strcmp(PQgetvalue(r, i, STREAM), s->name) != 0)
            return false;
        s->epoch = (int32_t)strtol(PQgetvalue(r, i, EPOCH), NULL, 10);
        s->token = PQgetvalue(r, i, TOKEN);
        s->reset_token = PQgetvalue(r, i, RESET_TOKEN);
        s->last_id = PQgetvalue(r, i, LAST_ID);
    }
    return true;
}

enum ledger_verdict ledger_row_judge(const PGresult *r, const struct ledger_answers *answers,
                                     bool *is_first)
{
    const struct ledger_facts facts = {.ledger = ledger_row_ledger(r),
                                       .picks = ledger_row_picks(r),
                                       .is_first = is_true(r, IS_FIRST),
                                       .has_past = is_true(r, HAS_PAST),
                                       .sent_known = answers->sent_known,
                                       .sent = answers->sent,
                                       .saw_redis = PQgetvalue(r, 0, REDIS_RUN),
                                       .redis = answers->redis_run,
                                       .streams = answers->streams,
                                       .count = answers->count};
    *is_first = facts.is_first;
    return ledger_judge(&facts);
}
