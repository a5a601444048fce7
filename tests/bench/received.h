/* What the stand-in for Stripe was told, so that a run can prove to the unit what came. */
#ifndef METERLINE_BENCH_RECEIVED_H
#define METERLINE_BENCH_RECEIVED_H

#include <stddef.h>
#include <stdint.h>

enum { ID_BYTES = 16 };

/* Zero-initialise. */
struct received {
    int64_t calls;                  /* that held events, and were taken */
    int64_t events;                 /* each time that one came */
    int64_t refused;                /* calls with something that is no event */
    int64_t total;                  /* the values, of each identifier once */
    int64_t distinct;               /* identifiers */
    unsigned char (*ids)[ID_BYTES]; /* a hash table of them; all zero: free */
    size_t room;                    /* a power of two */
};

/* Returns 0, or -1 if value is no whole number; nothing was added then. */
int received_add(struct received *r, const char *identifier, const char *value);
void received_done(struct received *r);

#endif
