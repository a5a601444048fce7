#include "ctl/restore/restore_progress.h"

#include "ctl/terminal/progress.h"

#include <inttypes.h>

enum { MINUTE_S = 60 };

int64_t restore_progress_left_ms(const struct restore_progress *p)
{
    int64_t done = p->done - p->done_first;
    if (p->done >= p->total)
        return 0;
    return done > 0 ? p->elapsed_ms * (p->total - p->done) / done : -1;
}

static void add_left(struct buf *out, int64_t left_ms)
{
    int64_t left_s = (left_ms + 999) / 1000;
    if (left_ms < 0)
        return;
    if (left_s < 2 * MINUTE_S)
        buf_printf(out, ", about %" PRId64 " s left", left_s);
    else
        buf_printf(out, ", about %" PRId64 " min left", (left_s + MINUTE_S - 1) / MINUTE_S);
}

void restore_progress_add(struct buf *out, const struct restore_progress *p, bool bar)
{
    if (bar)
        progress_add_bar(out, p->done, p->total);
    buf_printf(out, "%" PRId64 " of %" PRId64 " tenants compared with Stripe", p->done, p->total);
    if (p->done < p->total)
        add_left(out, restore_progress_left_ms(p));
}

void restore_progress_show(const struct restore_progress *p, bool last)
{
    struct buf line = {0};
    restore_progress_add(&line, p, progress_is_seen());
    progress_show(&line, last);
    buf_done(&line);
}
