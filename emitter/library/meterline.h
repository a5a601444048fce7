/* libmeterline: emits usage events into meterline's Redis stream without ever slowing a service.
 *
 *     struct meterline *m = meterline_open(METERLINE_OPTIONS(.spool_folder =
 * "/var/lib/app/usage")); if (!m) errx(1, "%s", meterline_error()); if (meterline_emit(m,
 * METERLINE_EVENT(.tenant = "acme", .metric = "api_calls"))) warnx("usage of acme: %s",
 * meterline_error()); meterline_close(m, 5000);
 *
 * meterline_emit checks the event, gives it an id and a time if it has none, copies it and returns.
 * A thread of the library sends it. With a spool folder an event that emit took outlives the
 * process, however it ends: whoever opens the folder next sends it. It may reach Redis twice; it
 * has the same id, so it counts once.
 *
 * Every function but meterline_close may be called by any thread at any time. After fork() a handle
 * belongs to the parent alone: the child's calls are refused, and it opens a handle, and a folder,
 * of its own. The library writes nothing to standard output or error, and changes no handler of
 * signals.
 */
#ifndef METERLINE_H
#define METERLINE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define METERLINE_API __attribute__((visibility("default")))

/* What functions return. meterline_error says in words what happened. */
enum meterline_result {
    METERLINE_OK = 0,
    METERLINE_INVALID = -1, /* the event is none: nothing was taken, and it would never be */
    METERLINE_FULL = -2,    /* the spool is as large as it may be, and wait_ms are over */
    /* The disk is full, or fails: give the event again. With METERLINE_SYNC_ALWAYS it may be sent
     * all the same, so it needs an id of yours: then it counts once. */
    METERLINE_FAILED = -3,
    METERLINE_FORKED = -4,     /* the handle belongs to the parent process */
    METERLINE_TIMEOUT = -5,    /* not all of it is in Redis yet */
    METERLINE_UNAVAILABLE = -6 /* Redis did not answer in quota_timeout_ms */
};

/* When the spool is brought to disk. Without it, it outlives the process, but what the last seconds
 * brought may not outlive the machine. */
enum meterline_sync {
    METERLINE_SYNC_OFTEN = 0, /* every 100 ms */
    METERLINE_SYNC_ALWAYS,    /* before emit returns, which then takes as long as the disk does */
    METERLINE_SYNC_NEVER      /* by the kernel, when it likes */
};

/* Fields that are 0 have their default. Texts are copied. */
struct meterline_options {
    size_t size;           /* of this struct, set by METERLINE_OPTIONS: it may grow */
    const char *redis_url; /* default redis://127.0.0.1:6379; as REDIS_URL of every stage */
    int stream_shards;     /* METERLINE_STREAM_SHARDS of the line; default 1 */
    const char
        *spool_folder; /* made if it is not there; for one process alone. NULL: memory only */
    uint64_t spool_max_bytes; /* default 256 MiB; at least 16 MiB */
    int64_t wait_ms;          /* how long emit waits for room when the spool is full; default 0 */
    enum meterline_sync sync;
    /* Redis cannot be reached, the disk fails, …: what happened, in words; NULL: all is well again.
     * Called by the library's thread or by emit's; it may not call the library. May be NULL. */
    void (*on_state)(void *owner, const char *fault);
    void *owner;
    int64_t quota_timeout_ms; /* how long a call about quotas may wait for Redis; default 250 */
    int quota_closed;         /* not 0: who cannot be asked for is denied; else allowed */
};
#define METERLINE_OPTIONS(...)                                                                     \
    (&(struct meterline_options){.size = sizeof(struct meterline_options), __VA_ARGS__})

struct meterline_dimension {
    const char *name;  /* [a-z0-9_]{1,64} */
    const char *value; /* at most 256 bytes */
};

/* All text is UTF-8. */
struct meterline_event {
    size_t size;        /* of this struct, set by METERLINE_EVENT: it may grow */
    const char *tenant; /* who used it; 1 to 128 bytes */
    const char *metric; /* what was used, as the catalog names it */
    const char
        *quantity; /* a decimal such as "1.5", of up to 18 digits and 9 behind the point; NULL: 1 */
    const char *id; /* the same usage has the same id; up to 255 bytes; NULL: a UUIDv7 */
    int64_t ts_ms;  /* when it was used, Unix milliseconds; 0: now */
    const struct meterline_dimension *dimensions;
    size_t dimensions_count; /* up to 16 */
    int retract;             /* not 0: takes back the event of that tenant and id */
};
#define METERLINE_EVENT(...)                                                                       \
    (&(struct meterline_event){.size = sizeof(struct meterline_event), __VA_ARGS__})

/* What is asked about a tenant's quota. */
struct meterline_ask {
    size_t size;          /* of this struct, set by METERLINE_ASK: it may grow */
    const char *tenant;   /* whose */
    const char *metric;   /* of what */
    const char *quantity; /* how much more; a decimal from 0 on; NULL: 1 */
    const char *id;       /* of the reservation: printable ASCII without spaces, up to 255 */
    int64_t ttl_ms;       /* how long it holds if nobody settles it; default 60000 */
};
#define METERLINE_ASK(...)                                                                         \
    (&(struct meterline_ask){.size = sizeof(struct meterline_ask), __VA_ARGS__})

/* All texts are NUL-terminated. See docs/quotas.md. */
struct meterline_answer {
    size_t size;          /* of this struct, set by the caller */
    int allowed;          /* 0: denied */
    char verdict[16];     /* allow, allow_over, deny; unknown: Redis did not answer */
    char reason[24];      /* ok, soft_cap, hard_cap, blocked, grace, unknown_metric */
    char used[48];        /* in the limit's current window */
    char held[48];        /* reserved beside that */
    char limit[48];       /* a decimal, unlimited, or "": there is none */
    char cap[8];          /* none, soft, hard */
    int64_t resets_at_ms; /* Unix, when used begins anew; 0: not known */
};

struct meterline_stats {
    size_t size;        /* of this struct, set by the caller */
    uint64_t emitted;   /* events that emit took */
    uint64_t sent;      /* of these: in Redis */
    uint64_t recovered; /* of processes before this one: in Redis */
    uint64_t refused;   /* by emit, for whatever reason */
    uint64_t spool_bytes;
};

struct meterline; /* opaque */

/* Returns NULL with meterline_error: a setting is wrong, or the folder cannot be used. Redis may be
 * away. */
METERLINE_API struct meterline *meterline_open(const struct meterline_options *options);

/* Takes one event, which is copied. Never waits for Redis. */
METERLINE_API int meterline_emit(struct meterline *m, const struct meterline_event *event);

/* Waits until Redis has all that was emitted before the call: METERLINE_OK or METERLINE_TIMEOUT. */
METERLINE_API int meterline_flush(struct meterline *m, int64_t timeout_ms);

/* May the tenant use so much more? Waits for Redis, for quota_timeout_ms at most (twice that, if a
 * connection has to be made first). METERLINE_UNAVAILABLE: it did not answer, and allowed is what
 * quota_closed says. */
METERLINE_API int meterline_check(struct meterline *m, const struct meterline_ask *ask,
                                  struct meterline_answer *out);

/* The same, and unless it is denied the quantity is held until it is settled or ttl_ms are over.
 * The same id again holds nothing more. */
METERLINE_API int meterline_reserve(struct meterline *m, const struct meterline_ask *ask,
                                    struct meterline_answer *out);

/* Ends a reservation (tenant, metric, id). event: what was used; its tenant, metric and id are the
 * reservation's if they are NULL. It is emitted, at once if Redis takes it, and then what is held
 * ends when it is counted; else by the spool, and then what is held ends by its ttl_ms.
 * METERLINE_OK: the event was taken. NULL: nothing was used. */
METERLINE_API int meterline_settle(struct meterline *m, const struct meterline_ask *ask,
                                   const struct meterline_event *event);

METERLINE_API void meterline_stats(const struct meterline *m, struct meterline_stats *out);

/* Flushes, ends the thread and frees m, whatever it returns. METERLINE_TIMEOUT: some events are not
 * in Redis. They are in the spool folder for the next process; without a folder they are lost, and
 * meterline_error tells how many. */
METERLINE_API int meterline_close(struct meterline *m, int64_t timeout_ms);

/* What went wrong in the last call of this thread that failed. Valid until its next call. */
METERLINE_API const char *meterline_error(void);

#ifdef __cplusplus
}
#endif

#endif
