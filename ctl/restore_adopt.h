/* After a restore: making the ledger know what Stripe holds. */
#ifndef METERLINE_CTL_RESTORE_ADOPT_H
#define METERLINE_CTL_RESTORE_ADOPT_H

#include "ctl/ctl.h"

#include <libpq-fe.h>

/* Reads at Stripe every submission that is not settled, then all it holds of every open period;
 * takes over what it finds, printing a line for each, and compares once more. Sinks must be held.
 * Returns CTL_DONE if nothing differs, else the exit code after telling. */
int restore_adopt(const struct ctl_config *config, PGconn *conn);

#endif
