/* Parsing one entry of the stream into an event, or into the reason why it is rejected. Pure: times
 * are compared with the entry's own, which is in its id.
 *
 * Faults are looked for in this order, and the first one is reported: the form of every field
 * (UTF-8, names, sizes, no name twice), then entry time, op, tenant, metric, quantity, id, ts,
 * shard. */
#ifndef METERLINE_EVENT_H
#define METERLINE_EVENT_H

#include "aggregator/batch/catalog.h"
#include "aggregator/batch/tenants.h"
#include "aggregator/stream/arena.h"
#include "aggregator/stream/entries.h"
#include "common/dec.h"

#include <stdbool.h>
#include <stdint.h>

/* Three separate domains of idempotency keys: equal texts in two of them never meet. */
enum id_domain {
    ID_GIVEN,   /* the service's own */
    ID_DEFAULT, /* "<stream>/<ms>-<seq>": none was given, or it names the entry that it was of */
    ID_RETRACT, /* of a retraction: the id that it takes back */
};

struct event {
    uint64_t ms; /* the entry's id */
    uint64_t seq;
    const struct tenant_ref *tenant; /* of the parser's table */
    struct dec quantity;             /* 1 by default; a retraction's is 0 unless given */
    struct text id;                  /* in the entries' arena, or the parser's when by default */
    struct text fields_json;         /* dimensions, all: a canonical object, "{}" when none */
    struct text dims_json;           /* those that the catalog aggregates by, likewise */
    int64_t occurred_ms;             /* Unix ms; the entry's time unless ts was given */
    int64_t id_ms;                   /* Unix ms; when the id says that it was made: event_id.h */
    uint32_t index;                  /* in entries */
    int metric; /* in the catalog; of a retraction it means nothing, and may be -1 */
    enum id_domain domain;
    bool retract; /* op: retract */
    bool has_id;  /* id was given */
    bool has_ts;  /* ts was given */
    bool new_id;  /* made at most 35 days before the entry, as it says */
};

struct reject {
    const char *reason; /* REASON_… of contract.h; static */
    struct text tenant; /* as far as it is one that a table may hold, else empty */
    char detail[160];   /* for people: which field, and why; printable ASCII */
};

/* What entries of one batch are parsed with and into. Zero-initialise, then set the first five. */
struct event_parser {
    const struct catalog *catalog;
    struct tenants *tenants; /* refs in events live there */
    struct text stream;      /* the stream's key */
    int shard;               /* this stream's number, from 0; -1: it has no tenants any more */
    int shards;              /* how many */
    int64_t now_ms;          /* Unix, when the batch was begun; 0: no entry is in the future */
    struct arena arena; /* owned: JSON and default ids of the batch; arena_clear with the batch */
};

/* Returns 0 with out, or -1 with why. Canonical objects: names sorted by bytes, no spaces, escapes
 * only where JSON needs them; equal fields give equal bytes. Texts live as long as the entries, the
 * parser's arena and its tenants. */
int event_parse(struct event_parser *p, const struct entries *entries, uint32_t index,
                struct event *out, struct reject *why);

/* Does the derived metric (an index of metric_def.derived) count this event? If so, out is the
 * event as that metric sees it: its own metric and dims_json, all else the same. */
bool event_derive(struct event_parser *p, const struct entries *entries, const struct event *event,
                  int metric, struct event *out);

void event_parser_done(struct event_parser *p);

#endif
