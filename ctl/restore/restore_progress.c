#include "ctl/restore/restore_progress.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { BAR_WIDTH = 30, TERMINAL_PAUSE_MS = 200, LINE_PAUSE_MS = 5000, MINUTE_S = 60 };

int64_t restore_progress_left_ms(const struct restore_progress *p)
{
    int64_t done = p->done - p->done_first;
    if (p->done >= p->total)
        return 0;
    return done > 0 ? p->elapsed_ms * (p->total - p->done) / done : -1;
}

static void add_bar(struct buf *out, const struct restore_progress *p)
{
    int64_t full = p->total > 0 ? p->done * BAR_WIDTH / p->total : BAR_WIDTH;
    buf_add_char(out, '[');
    for (int i = 0; i < BAR_WIDTH; i++)
        buf_add_char(out, i < full ? '#' : '-');
    buf_add_str(out, "] ");
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
        add_bar(out, p);
    buf_printf(out, "%" PRId64 " of %" PRId64 " tenants compared with Stripe", p->done, p->total);
    if (p->done < p->total)
        add_left(out, restore_progress_left_ms(p));
}

void restore_progress_show(const struct restore_progress *p, bool last)
{
    static const char ERASE[] = "\r\033[K";
    bool terminal = isatty(STDERR_FILENO);
    struct buf text = {0};
    if (terminal)
        buf_add_str(&text, ERASE);
    restore_progress_add(&text, p, terminal);
    if (!terminal || last)
        buf_add_char(&text, '\n');
    fflush(stdout);
    (void)fwrite(text.data, 1, text.length, stderr);
    fflush(stderr);
    buf_done(&text);
}

int64_t restore_progress_pause_ms(void)
{
    return isatty(STDERR_FILENO) ? TERMINAL_PAUSE_MS : LINE_PAUSE_MS;
}
