#include "sink/life/life_rows.h"

#include <stdlib.h>
#include <string.h>

/* Columns of read_life.sql. */
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

bool life_rows_known(const PGresult *r)
{
    return is_true(r, IS_KNOWN);
}

const char *life_rows_ledger(const PGresult *r)
{
    return PQgetvalue(r, 0, LEDGER_ID);
}

const char *life_rows_life(const PGresult *r)
{
    return PQgetvalue(r, 0, LIFE);
}

int64_t life_rows_picks(const PGresult *r)
{
    return strtoll(PQgetvalue(r, 0, PICKS), NULL, 10);
}

static int count_streams(const PGresult *r)
{
    return PQgetisnull(r, 0, STREAM) ? 0 : PQntuples(r);
}

void life_rows_name_streams(const PGresult *r, struct life_answers *answers)
{
    life_answers_init(answers, count_streams(r));
    for (int i = 0; i < answers->count; i++)
        life_answers_name(answers, i, PQgetvalue(r, i, STREAM));
}

bool life_rows_add_positions(const PGresult *r, struct life_answers *answers)
{
    if (count_streams(r) != answers->count)
        return false;
    for (int i = 0; i < answers->count; i++) {
        struct life_stream *s = &answers->streams[i];
        if (strcmp(PQgetvalue(r, i, STREAM), s->name) != 0)
            return false;
        s->epoch = (int32_t)strtol(PQgetvalue(r, i, EPOCH), NULL, 10);
        s->token = PQgetvalue(r, i, TOKEN);
        s->reset_token = PQgetvalue(r, i, RESET_TOKEN);
        s->last_id = PQgetvalue(r, i, LAST_ID);
    }
    return true;
}

enum life_verdict life_rows_judge(const PGresult *r, const struct life_answers *answers,
                                  bool *is_first)
{
    const struct life_facts facts = {.ledger = life_rows_ledger(r),
                                     .picks = life_rows_picks(r),
                                     .is_first = is_true(r, IS_FIRST),
                                     .has_past = is_true(r, HAS_PAST),
                                     .sent_known = answers->sent_known,
                                     .sent = answers->sent,
                                     .saw_redis = PQgetvalue(r, 0, REDIS_RUN),
                                     .redis = answers->redis_run,
                                     .streams = answers->streams,
                                     .count = answers->count};
    *is_first = facts.is_first;
    return life_judge(&facts);
}
