/* What `meterctl restore accept` keeps in the database (restore_checks, restore_proofs): which
 * tenants are still to be compared with Stripe, and how what Stripe holds of one becomes part of
 * the ledger. */
#ifndef METERLINE_CTL_RESTORE_CHECKS_H
#define METERLINE_CTL_RESTORE_CHECKS_H

#include "common/err.h"

#include <libpq-fe.h>
#include <stdint.h>

/* Which run a tenant's check belongs to. Another run, or another loss, takes it over. */
struct restore_claim {
    const char *hold;  /* sink_hold, as text */
    const char *owner; /* of the run */
};

/* The tenants to compare, listed anew or as an earlier run left them. */
struct restore_list {
    struct restore_claim claim; /* in */
    PGresult *tenants;          /* names that are left; the caller's to PQclear */
    int64_t done;               /* tenants that an earlier run has done */
};

/* Returns 0, or -1 with e and no tenants. */
int restore_begin(PGconn *conn, struct restore_list *list, struct err *e);

/* In one transaction, in which no sink claims or sends: submissions that are `sent` and that
 * Stripe lacks fail, to wait for a person. What Stripe holds besides is adopted, and the claims
 * are summed up again. Each change is printed. run_id: of the comparison. Returns 0, or -1 with
 * e. */
int restore_adopt(PGconn *conn, const struct restore_claim *claim, const char *tenant,
                  int64_t run_id, struct err *e);

/* Let sinks go on with this tenant. Returns 0, or -1 with e. */
int restore_release(PGconn *conn, const struct restore_claim *claim, const char *tenant,
                    struct err *e);

#endif
