#include "ctl/terminal/progress.h"

#include <stdio.h>
#include <unistd.h>

enum { BAR_WIDTH = 30, TERMINAL_PAUSE_MS = 200, LINE_PAUSE_MS = 5000 };

bool progress_is_seen(void)
{
    return isatty(STDERR_FILENO);
}

void progress_add_bar(struct buf *out, int64_t done, int64_t total)
{
    int64_t full = total > 0 ? done * BAR_WIDTH / total : BAR_WIDTH;
    buf_add_char(out, '[');
    for (int i = 0; i < BAR_WIDTH; i++)
        buf_add_char(out, i < full ? '#' : '-');
    buf_add_str(out, "] ");
}

void progress_show(const struct buf *line, bool last)
{
    static const char ERASE[] = "\r\033[K";
    bool terminal = progress_is_seen();
    struct buf text = {0};
    if (terminal)
        buf_add_str(&text, ERASE);
    buf_add(&text, line->data, line->length);
    if (!terminal || last)
        buf_add_char(&text, '\n');
    fflush(stdout);
    (void)fwrite(text.data, 1, text.length, stderr);
    fflush(stderr);
    buf_done(&text);
}

int64_t progress_pause_ms(void)
{
    return progress_is_seen() ? TERMINAL_PAUSE_MS : LINE_PAUSE_MS;
}
