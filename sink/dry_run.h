/* --dry-run: one run of claims that is rolled back, printed together with what waits to be sent. */
#ifndef METERLINE_SINK_DRY_RUN_H
#define METERLINE_SINK_DRY_RUN_H

#include "common/stage.h"

struct dry_run;

/* Ends the stage by itself: 0, or 1 if the claim was refused. On stdout, a line each, keys and
 * values as in log lines:
 *
 *     would_send tenant=… metric=… period=… usage_at=… quantity=… transport=… customer=…
 *         event_name=… state=pending|held|late
 *     would_wait … (the same) … meter_held=…
 *     would_send_total submissions=… claimed=… pending=… held=… late=… meter_held=…
 *
 * would_wait: its meter is held. claimed: how many are not in the database yet. Other sinks go on,
 * but their claims wait meanwhile. */
struct dry_run *dry_run_open(struct stage *stage, const char *database_url);
/* Appends what is missing to why, and returns false, while it cannot begin. */
bool dry_run_is_ready(const struct dry_run *d, struct buf *why);
void dry_run_drain(struct dry_run *d);
/* Frees d when its connection is closed. */
void dry_run_close(struct dry_run *d);

#endif
