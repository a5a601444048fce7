/* meterctl status and watch: how the line is doing, as far as it can be told within 5 s, whatever
 * hangs. PostgreSQL and Redis are read side by side, each in a process of its own (status_read.c):
 * what one has told when the time is over is shown, and what is missing is said. */
#include "ctl/status/status.h"

#include "common/clock.h"
#include "ctl/args.h"
#include "ctl/report.h"
#include "ctl/status/child.h"
#include "ctl/status/status_view.h"
#include "ctl/terminal/table.h"
#include "ctl/terminal/terminal.h"

#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* Together less than the 5 s that are promised. The positions in PostgreSQL are wanted before
 * the streams are read, but are not waited for longer than this. */
enum { POSITIONS_WITHIN_MS = 2000, ALL_WITHIN_MS = 4500 };

static const char *const LISTS[] = {"peers",    "instances", "stages",   "submissions",
                                    "webhooks", "messages",  "rejected", "meters",
                                    "unbilled", "customers", "quotas",   "ledger"};

struct gathering {
    json_t *report;
    json_t *positions; /* NULL until they are known */
    json_t *queues;    /* stream -> what Redis told of it */
    json_t *cache;
    json_t *later; /* rows of stages that stand behind the streams */
    json_t *peers; /* peer -> its row */
};

/* Borrowed; whatever a child tells is taken as it is. */
static void add_finding(void *owner, const json_t *finding)
{
    struct gathering *g = owner;
    const char *list = json_string_value(json_object_get(finding, "list"));
    const char *queue = json_string_value(json_object_get(finding, "queue"));
    const char *peer = json_string_value(json_object_get(finding, "peer"));
    json_t *rows = json_object_get(finding, "rows");
    if (list && strcmp(list, "positions") == 0)
        g->positions = json_incref(rows);
    else if (list && strcmp(list, "stages") == 0)
        json_array_extend(g->later, rows);
    else if (list)
        json_array_extend(json_object_get(g->report, list), rows);
    else if (queue)
        json_object_set(g->queues, queue, (json_t *)finding);
    else if (peer)
        json_object_set(g->peers, peer, (json_t *)finding);
    else
        json_object_update(g->cache, json_object_get(finding, "cache"));
}

static int64_t shards_in_force(const struct gathering *g, const struct ctl_config *config)
{
    const json_t *ledger = json_array_get(json_object_get(g->report, "ledger"), 0);
    int64_t shards = json_integer_value(json_object_get(ledger, "stream_shards"));
    int64_t set = config->base.stream_shards;
    return shards > 0 ? shards : set > 0 ? set : 1;
}

static bool go_on(const volatile sig_atomic_t *stop, int64_t deadline_ms)
{
    return (!stop || !*stop) && clock_monotonic_ms() < deadline_ms;
}

static void read_halves(struct gathering *g, const struct ctl_config *config,
                        const volatile sig_atomic_t *stop, struct status_streams *streams)
{
    struct child ledger, redis = {0};
    struct child *children[] = {&ledger, &redis};
    int64_t start_ms = clock_monotonic_ms();
    child_start(&ledger, status_read_ledger, (void *)config);
    while (child_runs(&ledger) && json_array_size(json_object_get(g->report, "ledger")) == 0 &&
           go_on(stop, start_ms + POSITIONS_WITHIN_MS))
        child_wait(children, 1, start_ms + POSITIONS_WITHIN_MS, add_finding, g);
    *streams = (struct status_streams){config, g->positions, shards_in_force(g, config)};
    child_start(&redis, status_read_streams, streams);
    while ((child_runs(&ledger) || child_runs(&redis)) && go_on(stop, start_ms + ALL_WITHIN_MS))
        child_wait(children, 2, start_ms + ALL_WITHIN_MS, add_finding, g);
    child_end(&ledger);
    child_end(&redis);
}

/* A half that did not report its peer was killed because its time was over. */
static bool add_peer(struct gathering *g, const char *peer, bool told_something)
{
    json_t *row = json_object_get(g->peers, peer);
    if (row)
        json_incref(row);
    else
        row = json_pack(
            "{s:s, s:s, s:s}", "peer", peer, "state", told_something ? "slow" : "down", "error",
            told_something ? "not all of it could be read in time" : "no answer in time");
    json_array_append_new(json_object_get(g->report, "peers"), row);
    return strcmp(json_string_value(json_object_get(row, "state")), "up") == 0;
}

static void add_stream(struct gathering *g, const char *stream)
{
    json_t *row = json_pack("{s:s, s:s}", "stage", "aggregator", "queue", stream);
    json_object_update(row, json_object_get(g->queues, stream));
    json_object_update_missing(row, report_find(g->positions, "stream", stream));
    json_object_del(row, "stream");
    json_object_del(row, "last_id");
    json_object_del(row, "epoch");
    json_array_append_new(json_object_get(g->report, "stages"), row);
}

static void add_stages(struct gathering *g, const struct status_streams *streams)
{
    json_t *names = status_stream_names(streams);
    for (size_t i = 0; i < json_array_size(names); i++)
        add_stream(g, json_string_value(json_array_get(names, i)));
    json_array_extend(json_object_get(g->report, "stages"), g->later);
    json_decref(names);
}

/* PostgreSQL may not have made the row of quotas. */
static void add_cache(struct gathering *g)
{
    json_t *quotas = json_object_get(g->report, "quotas");
    if (json_array_size(quotas) == 0)
        json_array_append_new(quotas, json_object());
    json_object_update(json_array_get(quotas, 0), g->cache);
}

/* A new report, always with all of these lists: `peers` (redis, postgres), `instances`, `stages`,
 * `submissions`, `webhooks`, `messages`, `rejected`, `unbilled`, `customers`, `quotas`, `ledger`.
 * *whole: both peers are up and all could be read. stop: not 0 ends the waiting early; may be NULL.
 */
static json_t *gather(const struct ctl_config *config, const volatile sig_atomic_t *stop,
                      bool *whole)
{
    struct gathering g = {.report = json_object(),
                          .queues = json_object(),
                          .cache = json_object(),
                          .later = json_array(),
                          .peers = json_object()};
    struct status_streams streams;
    for (size_t i = 0; i < sizeof LISTS / sizeof LISTS[0]; i++)
        json_object_set_new(g.report, LISTS[i], json_array());
    read_halves(&g, config, stop, &streams);
    bool redis_is_up = add_peer(&g, "redis", json_object_size(g.queues) > 0);
    bool postgres_is_up = add_peer(&g, "postgres", g.positions != NULL);
    *whole = redis_is_up && postgres_is_up;
    add_stages(&g, &streams);
    add_cache(&g);
    json_decref(g.positions);
    json_decref(g.queues);
    json_decref(g.cache);
    json_decref(g.later);
    json_decref(g.peers);
    return g.report;
}

/* meterctl status. */

int status_run(const struct ctl_config *config, int argc, char **argv)
{
    struct buf text = {0};
    bool json = false;
    bool whole = false;
    const struct args_option options[] = {{"--json", NULL, &json}, {NULL, NULL, NULL}};
    if (args_parse_options(argc, argv, options))
        return CTL_USAGE;
    json_t *report = gather(config, NULL, &whole);
    if (json) {
        report_print_json(report);
    } else {
        status_view_add(&text, report, table_width(false));
        fputs(text.data, stdout);
    }
    buf_done(&text);
    json_decref(report);
    return whole ? CTL_DONE : CTL_FAILED;
}

/* meterctl watch: the status again and again. A terminal is painted over; anything else gets one
 * report after the other. */

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

/* Wait for the next report, and paint again if the window's size changes. Returns false when it
 * is time to end. */
static bool wait_and_paint(const json_t *report, const char *time)
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
    bool goes_on = true;
    terminal_open();
    while (goes_on) {
        bool whole;
        json_t *report = gather(config, &terminal_ended, &whole);
        clock_format_iso(clock_unix_ms(), time);
        if (!terminal_ended)
            paint(report, time);
        goes_on = wait_and_paint(report, time);
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
    json_t *report = gather(config, NULL, &whole);
    clock_format_iso(clock_unix_ms(), now);
    status_view_add(&text, report, 0);
    printf("%s\n\n%s", now, text.data);
    buf_done(&text);
    json_decref(report);
}

int watch_run(const struct ctl_config *config, int argc, char **argv)
{
    const struct timespec pause = {.tv_sec = WATCH_INTERVAL_MS / 1000};
    if (args_parse_options(argc, argv, NULL))
        return CTL_USAGE;
    if (isatty(STDOUT_FILENO))
        return watch_terminal(config);
    do {
        print_report(config);
        nanosleep(&pause, NULL);
    } while (fflush(stdout) == 0);
    return CTL_FAILED;
}
