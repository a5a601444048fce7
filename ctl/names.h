/* Tenants, metrics and plans that somebody typed: do they exist? Of a name that nobody has every
 * figure is 0, so that a slip of the hand would look as if all were well. */
#ifndef METERLINE_CTL_NAMES_H
#define METERLINE_CTL_NAMES_H

#include <libpq-fe.h>

/* tenant, metric: NULL where none was named. A tenant exists if any table has it; a metric if the
 * catalog has or had it. Returns CTL_DONE; CTL_FAILED after telling which one does not exist, and
 * which may have been meant; or `unread`, an exit code, after telling that it could not be looked
 * up. */
int names_check(PGconn *conn, const char *tenant, const char *metric, int unread);

/* The same of a plan: one that the catalog has, or that somebody subscribed to. */
int names_check_plan(PGconn *conn, const char *plan, int unread);

/* Pure from here on. */

/* How many letters to put in, leave out, change, or swap with the next, to come from one to the
 * other; case does not count. Above most: most + 1. Bytes, so that a letter beyond ASCII counts for
 * two. */
int names_distance(const char *a, const char *b, int most);

enum { NAMES_SHOWN = 3 };

/* The nearest names so far, the nearest first. Zero-initialise. */
struct names_near {
    const char *names[NAMES_SHOWN]; /* borrowed */
    int distances[NAMES_SHOWN];
    int count;
};

/* Take a name into account: it counts if it differs from wanted by at most a third of its letters,
 * and by three. */
void names_add_near(struct names_near *n, const char *wanted, const char *name);

#endif
