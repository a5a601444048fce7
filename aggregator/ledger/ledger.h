/* The ledger in PostgreSQL, as the aggregator of one stream uses it: lease and position, what is
 * needed to judge a batch, and the one transaction that adds it.
 *
 * One call at a time; done runs exactly once, from the loop. The kinds of failure that matter:
 * ERR_FENCED: another aggregator owns the stream, nothing was written. ERR_TIMEOUT, ERR_CLOSED:
 * unknown; acquire again, which reads the position. ERR_REFUSED: nothing was written. */
#ifndef METERLINE_LEDGER_H
#define METERLINE_LEDGER_H

#include "aggregator/batch/batch.h"
#include "aggregator/stream/entry_id.h"
#include "common/err.h"
#include "common/pg/pg.h"
#include "common/redis/epoch_mark.h"

#include <stdbool.h>
#include <stdint.h>

enum { ENTRY_ID_SIZE = 48 };

struct position {
    int32_t epoch;
    char last_id[ENTRY_ID_SIZE]; /* everything up to it is in the ledger */
    uint64_t base;               /* the stream's entries-added when the epoch opened */
    int64_t processed;           /* entries of this epoch with an outcome */
    int64_t lost;
    int64_t batches;     /* committed, all epochs */
    uint64_t added_seen; /* entries-added when last looked at */
    uint64_t trimmed;    /* entries-added of the newest entry that has left the stream, if kept */
    bool marked_known;   /* that mark was there, when the position was … */
    struct entry_id marked_last;        /* … here */
    uint64_t marked_accounted;          /* … and accounted for this */
    struct epoch_mark mark;             /* that Redis keeps with the entries of this epoch */
    char reset_token[EPOCH_TOKEN_SIZE]; /* of the epoch that a reset is about to open, or "" */
    char repeats_until[ENTRY_ID_SIZE];  /* entries up to here may have been counted before */
};

/* Of the deduplication table. */
struct window_span {
    int64_t reading_ms; /* time of the entry that is read first, or earlier; Unix ms */
    int64_t window_ms;
};

/* How an epoch ends and the next one begins. */
struct epoch_change {
    const char *reason;
    int64_t gone;                  /* entries of the ended one that are lost, not booked yet */
    struct entry_id start;         /* where the new one begins to read … */
    uint64_t base;                 /* … and entries-added there */
    int64_t lost;                  /* entries of the new one that are gone already */
    struct entry_id repeats_until; /* entries of it that may have been counted before */
    const char *token;             /* of the new one; NULL: made by the ledger */
    bool hold;                     /* PostgreSQL lost commits: sinks hold */
};

typedef void (*ledger_done_fn)(void *owner, const struct err *error);

struct ledger {
    struct pg *pg;            /* borrowed */
    const char *stream;       /* borrowed */
    const char *owner;        /* borrowed: this process */
    struct position position; /* as of the last acquire or commit */
    struct buf ended_tokens;  /* of the stream's epochs that ended, as of the last acquire */
    bool owned;               /* the last acquire got the lease */
    int32_t takeovers_seen;   /* in marks of this ledger, by this process */

    struct catalog *catalog;  /* owned; replaced when its version moved and no batch uses it */
    int64_t catalog_version;  /* of catalog; -1: none yet */
    int64_t catalog_newest;   /* as last read */
    int64_t next_batch;       /* number for the next batch */
    uint64_t reading_ms;      /* of the entry that is read first, or of one before; 0: none yet */
    int64_t now_ms;           /* Unix, the database's clock as last read; never goes back */
    int64_t shards;           /* as the database has it */
    int64_t dropped_until_ms; /* raw events used up to then may be gone; INT64_MIN: none is */
    int64_t rejects_dropped_until_ms; /* rejects of entries from before may be gone, likewise */
    int64_t resharded_ms;             /* Unix; when it last changed, 0: never */
    struct dedupe_batch stored;       /* identity of the batch that was committed last */

    /* Totals that a fold changed, rows of fold.sql, which are the taker's own. */
    void (*on_totals)(void *owner, PGresult *rows);
    void *totals_owner;

    ledger_done_fn done;
    void *done_owner;
    void *work;             /* what the call in flight is about */
    bool giving;            /* not all statements of a transaction were given yet */
    struct columns params;  /* of the call in flight */
    struct columns minutes; /* likewise */
};

/* Then set on_totals. */
void ledger_init(struct ledger *l, struct pg *pg, const char *stream, const char *owner);
void ledger_done(struct ledger *l);

/* Take or keep the lease: then owned and position say. */
void ledger_acquire(struct ledger *l, ledger_done_fn done, void *owner);
void ledger_release(struct ledger *l, ledger_done_fn done, void *owner);
/* An epoch of this stream that ended has this token. */
bool ledger_knows_epoch(const struct ledger *l, const char *token);
/* The mark of the epoch was seen in the stream, when the position was there. */
void position_note_marked(struct position *p, struct entry_id last, uint64_t accounted);
/* base + processed + lost: the entries-added of the position's entry. */
uint64_t position_accounted(const struct position *p);
/* These change the position: acquire again afterwards, which reads it. ERR_FENCED if it was not
 * ours. End the epoch, begin the next; one without an outcome is begun anew. */
void ledger_open_epoch(struct ledger *l, const struct epoch_change *change, ledger_done_fn done,
                       void *owner);
/* The stream was trimmed past the position; makes sinks hold. */
void ledger_book_lost(struct ledger *l, int64_t entries, ledger_done_fn done, void *owner);
/* A stream that was never counted before begins at base. */
void ledger_set_base(struct ledger *l, uint64_t base, ledger_done_fn done, void *owner);

/* Partitions of raw events for today and the days ahead. */
void ledger_ensure_days(struct ledger *l, ledger_done_fn done, void *owner);

/* The catalog's newest version and the next batch's number. */
void ledger_read_state(struct ledger *l, ledger_done_fn done, void *owner);
void ledger_read_catalog(struct ledger *l, ledger_done_fn done, void *owner);

/* What became of entries that may have been read before: batch_note_again those that are known. */
void ledger_find_again(struct ledger *l, struct batch *b, ledger_done_fn done, void *owner);

/* Look up a batch's candidates and old events, and batch_confirm what is found. */
bool ledger_must_look_up(const struct batch *b);
void ledger_lookup(struct ledger *l, struct batch *b, ledger_done_fn done, void *owner);
/* The batch of a call in flight is gone, and with it what its events borrow. Its answer still
 * comes, and is dropped. A transaction that was not sent whole is cut off by dropping the
 * connection. */
void ledger_forget_batch(struct ledger *l);

/* What a transaction does about minute sums. */
struct ledger_sums {
    const struct minute_sums
        *own; /* the batch's; NULL: they follow, or are counted from raw events */
    const struct minute_sums *kept; /* of those before: NULL, or … */
    int64_t batches;                /* … of so many, which are not in the ledger yet, … */
    int64_t first_batch;            /* … from this one on */
    bool fold;                      /* take all that is pending over into minute rows and totals */
};

/* One transaction adds a batch and moves the position: ledger_begin; ledger_add_slice for each
 * slice that was settled, in their order, which the server stores meanwhile; ledger_commit with all
 * else of the batch, which stays as it is until done. Afterwards `stored` names it. */
void ledger_begin(struct ledger *l, struct batch *b, ledger_done_fn done, void *owner);
void ledger_add_slice(struct ledger *l);
/* last_id: the position's new one. entries_added: as last seen in Redis. sums: copied; both sums
 * are sorted, and stay as they are until done. */
void ledger_commit(struct ledger *l, const char *last_id, uint64_t entries_added,
                   struct ledger_sums sums);
/* Fold alone: what is pending of this stream, with the sums that were kept. */
void ledger_fold(struct ledger *l, struct ledger_sums sums, ledger_done_fn done, void *owner);
/* What others left pending, of this stream and of those that are not current (PG_TEXT, taken). */
void ledger_recover_sums(struct ledger *l, struct pg_array *current, ledger_done_fn done,
                         void *owner);

/* Fill a dedupe table from the stored batches within its window, with the keys of the tenants that
 * belong to this shard by now. */
void ledger_load_window(struct ledger *l, struct dedupe *dedupe, int shard, struct window_span span,
                        ledger_done_fn done, void *owner);

/* For the calls' own files. */
enum { LEDGER_DEADLINE_MS = 30000 };
void ledger_start(struct ledger *l, ledger_done_fn done, void *owner, void *work);
void ledger_finish(struct ledger *l, const struct err *error);

#endif
