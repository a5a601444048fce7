/* Whether what a command was asked about is there at all: of a name that nobody has, every figure
 * is 0, and all is well. */
#ifndef METERLINE_CTL_KNOWN_H
#define METERLINE_CTL_KNOWN_H

#include <libpq-fe.h>

/* tenant, metric: NULL where none was named. A tenant is known if any table has it; a metric if the
 * catalog has or had it. Returns CTL_DONE; CTL_FAILED after telling which one there is not, and
 * what may have been meant; or `unread` after telling that it could not be looked up. */
int known_check(PGconn *conn, const char *tenant, const char *metric, int unread);

#endif
