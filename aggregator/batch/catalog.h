/* The catalog in memory: which metrics there are and how each is aggregated. Filled once, then only
 * read; a new version of the catalog is a new struct catalog. */
#ifndef METERLINE_CATALOG_H
#define METERLINE_CATALOG_H

#include "aggregator/stream/text.h"
#include "common/contract.h"
#include "common/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum aggregation { AGG_SUM, AGG_COUNT, AGG_MAX, AGG_LAST, AGG_UNIQUE };

struct catalog_filter {
    char *name;  /* a dimension */
    char *value; /* which it must have */
};

struct metric_def {
    char name[METRIC_MAX_BYTES + 1];
    enum aggregation aggregation;
    bool carry;        /* a billing period opens with the last value */
    char **dimensions; /* names that it is aggregated by; owned, sorted by bytes */
    int dimensions_count;
    char *from;                   /* derived: the metric whose events it counts; NULL: its own */
    struct catalog_filter *where; /* derived: all must hold; owned */
    int where_count;
    int *derived; /* indexes of the metrics derived from this one; owned */
    int derived_count;
};

/* Usage of long ago that is let in on purpose. */
struct catalog_backfill {
    char *id; /* which entries name */
    char *tenant;
    int64_t from_ms;  /* Unix: when it was used, from … */
    int64_t until_ms; /* … until */
    int64_t ends_ms;  /* Unix: it is let in until then */
};

struct catalog {
    struct metric_def *metrics; /* by index; an event's metric is one */
    int count;
    int capacity;
    int32_t *slots;      /* hash table of indexes, -1 for none */
    uint32_t slots_mask; /* its size less one */
    struct catalog_backfill *backfills;
    int backfills_count;
};

/* Names from and to the catalog's text: "sum", "count", "max", "last", "unique". */
int aggregation_parse(const char *name, enum aggregation *out); /* 0 or -1 */
const char *aggregation_name(enum aggregation a);

struct catalog *catalog_new(void);
void catalog_free(struct catalog *c); /* NULL is fine */

/* Add one metric; def and all it points to is copied (derived is ignored). Returns its index, or -1
 * with ERR_INPUT: a bad name, a name twice, a bad dimension or more than DIMENSIONS_MAX of them. */
int catalog_add(struct catalog *c, const struct metric_def *def, struct err *e);

/* After the last catalog_add: fill derived. Returns 0, or -1 with ERR_INPUT: from names no metric,
 * or one that is derived itself. */
int catalog_link(struct catalog *c, struct err *e);

/* backfill is copied. */
void catalog_add_backfill(struct catalog *c, const struct catalog_backfill *backfill);
/* Whether an entry that names this one may be of that time. now_ms: Unix. */
bool catalog_lets_in(const struct catalog *c, struct text id, struct text tenant,
                     int64_t occurred_ms, int64_t now_ms);

/* The metric's index, or -1. Events never name a derived metric: see event_parse. */
int catalog_find(const struct catalog *c, const char *name, size_t length);

#endif
