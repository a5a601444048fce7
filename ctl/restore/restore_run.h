/* Brings the ledger up to what Stripe holds, tenant by tenant, several side by side at the
 * sink's rate. Sinks go on with each tenant as soon as it is done. */
#ifndef METERLINE_CTL_RESTORE_RUN_H
#define METERLINE_CTL_RESTORE_RUN_H

#include "ctl/ctl.h"

#include <libpq-fe.h>

/* hold: sink_hold as it was read. Tells on stderr how far it is. Cut off anywhere it may be run
 * again, and goes on where it stopped. Returns CTL_DONE if all tenants are done, else a code after
 * telling what is not. */
int restore_run(const struct ctl_config *config, PGconn *conn, const char *hold);

#endif
