/* Names that somebody may have meant who mistyped one. Pure. */
#ifndef METERLINE_CTL_NEAR_H
#define METERLINE_CTL_NEAR_H

#include <stdbool.h>

/* Letters to put in, leave out, change, or swap with the next, to come from one to the other; case
 * does not count. Above most: most + 1. Bytes, so that a letter beyond ASCII counts for two. */
int near_distance(const char *a, const char *b, int most);

enum { NEAR_SHOWN = 3 };

/* The nearest so far, the nearest first. Zero-initialise. */
struct near {
    const char *names[NEAR_SHOWN]; /* borrowed */
    int distances[NEAR_SHOWN];
    int count;
};

/* Take a name into account: it counts if it differs from wanted by at most a third of its letters,
 * and three. */
void near_add(struct near *n, const char *wanted, const char *name);

#endif
