/* What no event of Stripe's tells of is looked for: usage that has passed a threshold of its limit,
 * twice a second; sums that were reached, payments of which only the invoice tells, and usage that
 * no invoice bills, every few minutes. What is found is put into the outbox by the functions in the
 * database that look for it, in one transaction each (deploy/functions).
 *
 * Thresholds cost nothing while nothing is passed: each total says from which quantity on it is
 * noted in alert_checks, and only what stands there is looked at. */
#ifndef METERLINE_NOTIFIER_WATCH_H
#define METERLINE_NOTIFIER_WATCH_H

#include "notifier/context.h"

struct watch;

/* context is borrowed until it is closed. */
struct watch *watch_open(const struct context *context);
bool watch_is_idle(const struct watch *w);
/* Appends to why what is missing. */
bool watch_is_ready(const struct watch *w, struct buf *why);
void watch_close(struct watch *w);

#endif
