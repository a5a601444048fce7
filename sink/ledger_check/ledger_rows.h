/* Rows of read_ledger.sql, and what they and Redis' answers say together. */
#ifndef METERLINE_SINK_LEDGER_ROWS_H
#define METERLINE_SINK_LEDGER_ROWS_H

#include "sink/ledger_check/ledger_facts.h"

#include <libpq-fe.h>

/* The ledger was compared in this life. */
bool ledger_row_known(const PGresult *r);
const char *ledger_row_ledger(const PGresult *r);
const char *ledger_row_life(const PGresult *r);
int64_t ledger_row_picks(const PGresult *r);

/* A place for each stream; to be freed with ledger_answers_done. */
void ledger_row_name_streams(const PGresult *r, struct ledger_answers *answers);
/* The ledger's side, borrowed from r. False: streams came or went since Redis was asked. */
bool ledger_row_add_positions(const PGresult *r, struct ledger_answers *answers);
enum ledger_verdict ledger_row_judge(const PGresult *r, const struct ledger_answers *answers,
                                     bool *is_first);

#endif
