/* What Stripe holds of a tenant becomes part of the ledger. */
#ifndef METERLINE_CTL_RESTORE_ADOPT_H
#define METERLINE_CTL_RESTORE_ADOPT_H

#include "common/err.h"

#include <libpq-fe.h>
#include <stdint.h>

/* Whose check it is: another run, or another loss, ends ours. */
struct restore_claim {
    const char *hold;  /* sink_hold, as text */
    const char *owner; /* of the run */
};

/* In one transaction, in which nobody claims or picks: sent ones that Stripe lacks wait for a
 * person; what it holds besides is adopted, and the claims are summed up again. Each is printed.
 * run_id: of the comparison. Returns 0, or -1 with e. */
int restore_adopt(PGconn *conn, const struct restore_claim *claim, const char *tenant,
                  int64_t run_id, struct err *e);

/* Sinks go on with this tenant. Likewise. */
int restore_release(PGconn *conn, const struct restore_claim *claim, const char *tenant,
                    struct err *e);

#endif
