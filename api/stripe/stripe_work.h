/* What all routes share that change things at Stripe: the calls, the locks of tenants that this
 * process has, and waiting. A lock is a row in tenant_locks with a lease of LEASE_MS; it is renewed
 * while its request is worked on. If this process dies, the next request for the tenant has it once
 * the lease has passed. */
#ifndef METERLINE_API_STRIPE_WORK_H
#define METERLINE_API_STRIPE_WORK_H

#include "api/context.h"
#include "common/stripe/stripe_calls.h"

enum { TENANT_LEASE_MS = 6000 };

struct stripe_work;

struct stripe_work *stripe_work_open(const struct context *context);
/* NULL: there is no key of Stripe's. */
struct stripe_calls *stripe_work_calls(const struct stripe_work *w);
/* The same, and NULL once it is closing: for a call that nothing is lost without. */
struct stripe_calls *stripe_work_open_calls(const struct stripe_work *w);
bool stripe_work_is_closing(const struct stripe_work *w);
void stripe_work_add_why(const struct stripe_work *w, struct buf *why);

/* This request has its tenant's lock. owner: borrowed until stripe_work_forget. */
void stripe_work_hold(struct stripe_work *w, const char *owner);
void stripe_work_forget(struct stripe_work *w, const char *owner);
/* Gives a lock back that no transaction of its request gave back. */
void stripe_work_drop(struct stripe_work *w, const char *tenant, const char *owner);

/* over: exactly once, from the loop, after ms, or at once when it is closed. */
void stripe_work_pause(struct stripe_work *w, uint64_t ms, void (*over)(void *owner), void *owner);

/* Pauses end and calls are canceled, so that requests can be answered; then closed. */
void stripe_work_close(struct stripe_work *w, void (*closed)(void *owner), void *owner);
/* After that, once no request is left. */
void stripe_work_free(struct stripe_work *w);

#endif
