/* PostgreSQL was started anew, failed over or came back from a backup. May its ledger be an older
 * one than the one that sinks sent from? Redis keeps the number of the last pick, and with each
 * stream how far it was counted. Pure.
 *
 *   a stream's group or epoch, or the number, is past the ledger's          LEDGER_BEHIND
 *   the number is not past the ledger's, and Redis was not started anew     LEDGER_INTACT
 *   the same, but Redis was started anew as well: both may come from
 *   backups of one moment                                                   LEDGER_UNSURE
 *   Redis has no number, and nothing was ever counted or sent               LEDGER_INTACT
 *   Redis has no number, no sink has ever picked, and a stream knows this
 *   ledger                                                                  LEDGER_INTACT
 *   else: Redis is empty or new                                             LEDGER_UNKNOWN */
#ifndef METERLINE_SINK_LEDGER_RULE_H
#define METERLINE_SINK_LEDGER_RULE_H

#include "common/redis/epoch_mark.h"

#include <stdbool.h>
#include <stdint.h>

/* Of a stream, on both sides. */
struct ledger_stream {
    char *name;
    int32_t epoch;           /* the ledger's, as the next three */
    const char *token;       /* the epoch's */
    const char *reset_token; /* of the epoch that a command is about to open; "": none */
    const char *last_id;
    bool marked;            /* Redis has a mark */
    struct epoch_mark mark; /* the newest one */
    char *group_id;         /* where the group stands; NULL: there is none */
};

struct ledger_facts {
    const char *ledger;
    int64_t picks; /* the ledger's number of the last pick */
    bool is_first; /* no sink has ever compared it */
    bool has_past; /* something was counted or sent */
    bool sent_known;
    int64_t sent;          /* the greatest number that Redis knows */
    const char *saw_redis; /* run_id of the Redis that sinks last saw; "": not known, as the next */
    const char *redis;     /* of the one that answered now */
    const struct ledger_stream *streams;
    int count;
};

enum ledger_verdict { LEDGER_INTACT, LEDGER_BEHIND, LEDGER_UNKNOWN, LEDGER_UNSURE };

enum ledger_verdict ledger_judge(const struct ledger_facts *f);
/* NULL for LEDGER_INTACT. */
const char *ledger_verdict_name(enum ledger_verdict verdict);

#endif
