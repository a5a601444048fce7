/* meterctl watch: the status again and again. A terminal is painted over; anything else gets one
 * report after the other. */
#include "common/clock.h"
#include "ctl/status/screen.h"
#include "ctl/status/status.h"
#include "ctl/status/status_view.h"
#include "ctl/terminal/terminal.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

enum { WATCH_INTERVAL_MS = 2000 };

static void paint(const json_t *report, const char *time)
{
    struct buf text = {0};
    int lines, columns;

    terminal_size(&lines, &columns);
    screen_add(&text, report, time, lines, columns);
    terminal_paint(text.data);
    buf_done(&text);
}

/* Until it is time for the next report; painted again when the window's size has changed. */
static bool rest(const json_t *report, const char *time)
{
    int64_t until_ms = clock_monotonic_ms() + WATCH_INTERVAL_MS;

    while (!terminal_ended) {
        int64_t left_ms = until_ms - clock_monotonic_ms();
        if (left_ms <= 0)
            return true;
        if (terminal_wait((int)left_ms))
            return false;
        if (!terminal_ended)
            paint(report, time);
    }
    return false;
}

static int watch_terminal(const struct ctl_config *config)
{
    char time[CLOCK_TEXT_SIZE];
    bool go_on = true;

    terminal_open();
    while (go_on) {
        bool whole;
        json_t *report = status_gather(config, &terminal_ended, &whole);
        clock_format_iso(clock_unix_ms(), time);
        if (!terminal_ended)
            paint(report, time);
        go_on = rest(report, time);
        json_decref(report);
    }
    terminal_close();
    return CTL_DONE;
}

static void print_report(const struct ctl_config *config)
{
    char now[CLOCK_TEXT_SIZE];
    struct buf text = {0};
    bool whole;
    json_t *report = status_gather(config, NULL, &whole);

    clock_format_iso(clock_unix_ms(), now);
    status_view_add(&text, report, 0);
    printf("%s\n\n%s", now, text.data);
    buf_done(&text);
    json_decref(report);
}

int watch_run(const struct ctl_config *config, int argc, char **argv)
{
    const struct timespec pause = {.tv_sec = WATCH_INTERVAL_MS / 1000};

    if (argc > 0)
        return ctl_fail(CTL_USAGE, "unknown argument: %s (see meterctl watch --help)", argv[0]);
    if (isatty(STDOUT_FILENO))
        return watch_terminal(config);
    do {
        print_report(config);
        nanosleep(&pause, NULL);
    } while (fflush(stdout) == 0);
    return CTL_FAILED;
}
