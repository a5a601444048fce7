/* Telling systemd how a daemon is doing, in the protocol of sd_notify(3): datagrams to the socket
 * that NOTIFY_SOCKET names. That page promises that the protocol stays as it is. It is written out
 * here because libsystemd would bring libgcrypt and three compressors into each process that
 * holds the keys, for one sendto.
 *
 * READY=1 means that the settings are right and /readyz answers. It does not wait for PostgreSQL,
 * Redis or Stripe: a peer that is away is a state, and Type=notify has a start timeout, by which
 * systemd would kill a stage that waits. What it waits for is in STATUS, which `systemctl status`
 * shows. WATCHDOG=1 comes from the loop at half of WATCHDOG_USEC, so that a loop that hangs is
 * killed and started again. */
#ifndef METERLINE_SYSTEMD_H
#define METERLINE_SYSTEMD_H

#include "common/str.h"

#include <stdbool.h>
#include <uv.h>

struct systemd;

/* Tell READY=1, from now on STATUS within 1 s of each change, and WATCHDOG=1 if it is asked for.
 * ready: as /readyz. Returns NULL if there is nobody to tell. */
struct systemd *systemd_open(uv_loop_t *loop, bool (*ready)(void *owner, struct buf *why),
                             void *owner);
/* Tell STOPPING=1. ready is not called any more; the watchdog is still fed. */
void systemd_stopping(struct systemd *s);
/* Nothing is told any more; s is freed from the loop. */
void systemd_close(struct systemd *s);

#endif
