/* Rows of read_life.sql, and what they and Redis' answers say together. */
#ifndef METERLINE_SINK_LIFE_ROWS_H
#define METERLINE_SINK_LIFE_ROWS_H

#include "sink/life/life_ask.h"

#include <libpq-fe.h>

/* The ledger was compared in this life. */
bool life_rows_known(const PGresult *r);
const char *life_rows_ledger(const PGresult *r);
const char *life_rows_life(const PGresult *r);
int64_t life_rows_picks(const PGresult *r);

/* A place for each stream; to be freed with life_answers_done. */
void life_rows_name_streams(const PGresult *r, struct life_answers *answers);
/* The ledger's side, borrowed from r. False: streams came or went since Redis was asked. */
bool life_rows_add_positions(const PGresult *r, struct life_answers *answers);
enum life_verdict life_rows_judge(const PGresult *r, const struct life_answers *answers,
                                  bool *is_first);

#endif
