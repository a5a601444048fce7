/* A rejected entry as it is sent again. Pure: no I/O, no clock. */
#ifndef METERLINE_CTL_REPLAY_ENTRY_H
#define METERLINE_CTL_REPLAY_ENTRY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Why an entry is not sent again. */
enum replay_obstacle {
    REPLAY_NONE,
    REPLAY_CUT,       /* not all of it was kept */
    REPLAY_CONFLICT,  /* would be one again */
    REPLAY_TOO_OLD,   /* ts: more than 35 days before now */
    REPLAY_IN_FUTURE, /* ts: more than 5 minutes after now */
    REPLAY_EMPTY,     /* holds no field that could be read */
    REPLAY_QUANTITY,  /* to be rounded, and cannot be */
    REPLAY_UNROUNDED, /* likewise, and rounding was not asked for */
    REPLAY_MISSING,   /* the rest: see replay_check */
    REPLAY_BAD_FIELD,
    REPLAY_TOO_LARGE,
    REPLAY_BAD_TIME,
    REPLAY_UNKNOWN_METRIC,
    REPLAY_DONE, /* was sent again already */
    REPLAY_OBSTACLES
};
/* Its name, and what a person should know. Static. */
const char *replay_obstacle_name(enum replay_obstacle o);
const char *replay_obstacle_text(enum replay_obstacle o);

/* XADD's names and values, in the entry's order; then `ts` and `id` where it had none, so that it
 * lies at its true time and counts once however often it is sent: ts is the time of the original
 * entry, id "<stream>/<entry id>". A retraction gets neither: its id is that of another event, and
 * its ts the time of that one's use. */
struct replay_entry {
    char **parts;    /* owned; names and values by turns */
    size_t *lengths; /* owned */
    size_t count;
    const char *tenant; /* in parts; NULL where there is none */
    size_t tenant_length;
};

/* fields: the JSON of rejected_events.fields. stream_id: "ms-seq". now_ms: Redis' clock. Returns
 * why it cannot be sent, or REPLAY_NONE; *out is the caller's to replay_entry_done in any case. */
enum replay_obstacle replay_entry_build(const char *fields, const char *stream,
                                        const char *stream_id, int64_t now_ms,
                                        struct replay_entry *out);

/* A quantity that would be refused is rounded, see quantity_round.h; any other stays as it is.
 * Returns REPLAY_NONE, with *rounded whether it was changed, or REPLAY_QUANTITY. */
enum replay_obstacle replay_entry_round(struct replay_entry *entry, int decimals, bool *rounded);

void replay_entry_done(struct replay_entry *entry);

/* Whether the aggregator would refuse an entry again, by what stands in it. */

/* Is there a metric of this name that events may have? name: length bytes. */
typedef bool (*replay_metric_fn)(const void *metrics, const char *name, size_t length);

/* entry: as it would be sent. Its time is not looked at, see replay_entry_build, nor what is
 * counted: whether a retraction finds its event. Returns why it would be refused, or REPLAY_NONE.
 */
enum replay_obstacle replay_check(const struct replay_entry *entry, replay_metric_fn is_metric,
                                  const void *metrics);

#endif
