/* Where a run of claims has come to: the key of a total. */
#ifndef METERLINE_SINK_CLAIM_CURSOR_H
#define METERLINE_SINK_CLAIM_CURSOR_H

#include <stdint.h>

/* Texts are borrowed. */
struct claim_key {
    const char *tenant;
    const char *metric;
    int64_t period_start_us; /* PostgreSQL's own microseconds, so that nothing is rounded */
};

/* A key of our own, since results go. Zero-initialise. */
struct claim_cursor {
    char *tenant;
    char *metric;
    int64_t period_start_us;
};

/* Before all totals. */
void claim_cursor_reset(struct claim_cursor *p);
void claim_cursor_set(struct claim_cursor *p, const struct claim_key *key); /* key may be p's own */
struct claim_key claim_cursor_key(const struct claim_cursor *p);
void claim_cursor_done(struct claim_cursor *p);

#endif
