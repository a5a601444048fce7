#include "emitter/emit.h"

#include "common/clock.h"
#include "common/events/metric_names.h"
#include "common/log.h"
#include "emitter/line_reader.h"
#include "emitter/sender.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

enum { INTERVAL_MS = 100 };

/* One line that is rewritten in place, if stderr is a terminal. */
struct progress {
    bool visible;     /* stderr is a terminal */
    bool shown;       /* the line is there now */
    int64_t begun_ms; /* monotonic */
    int64_t next_ms;  /* monotonic; not shown again before */
};

/* The first refusals go to stderr at once, and all of them into a file if there is one. */
enum { REFUSALS_SHOWN = 20 };

struct refusals {
    FILE *file;                /* owned; NULL: none */
    struct progress *progress; /* borrowed; cleared before each line */
    uint64_t count;
};

struct emit {
    struct emitter_config *config;
    struct metric_names *metrics; /* NULL: any */
    struct sender *sender;        /* NULL: dry run */
    struct log_causes lost;
    struct refusals refusals;
    struct progress progress;
    struct event_line event;
    uint64_t accepted; /* lines that are valid events */
    uint64_t unknown;  /* not acknowledged when it gave up */
    struct sender_origin first_unknown;
    struct sender_origin last_unknown;
};

static volatile sig_atomic_t stopping;

void emit_stop(void)
{
    stopping = 1;
}

/* Progress and refusals. */

/* Called after each line, but shows at most ten times a second. */
static void progress_show(struct progress *p, uint64_t sent, uint64_t refused)
{
    int64_t now_ms = p->visible ? clock_monotonic_ms() : 0;
    if (!p->visible || now_ms < p->next_ms)
        return;
    uint64_t elapsed_ms = (uint64_t)(now_ms - p->begun_ms) + 1;
    fprintf(stderr, "\r%" PRIu64 " sent, %" PRIu64 " refused, %" PRIu64 " a second\033[K", sent,
            refused, sent * 1000 / elapsed_ms);
    p->shown = true;
    p->next_ms = now_ms + INTERVAL_MS;
}

/* Before anything else is written to stderr. */
static void progress_clear(struct progress *p)
{
    if (p->shown)
        fputs("\r\033[K", stderr);
    p->shown = false;
}

static int refusals_open(struct refusals *r, const char *name, struct progress *progress,
                         struct err *e)
{
    *r = (struct refusals){.progress = progress};
    if (!name)
        return 0;
    r->file = fopen(name, "we");
    return r->file ? 0 : err_set(e, ERR_IO, "open %s: %s", name, strerror(errno));
}

static void refusals_add(struct refusals *r, const char *file, uint64_t line, const char *why)
{
    r->count++;
    if (r->file)
        fprintf(r->file, "%s:%" PRIu64 ": %s\n", file, line, why);
    if (r->count > REFUSALS_SHOWN)
        return;
    progress_clear(r->progress);
    fprintf(stderr, "%s:%" PRIu64 ": %s\n", file, line, why);
}

/* Returns -1 with e if the file is incomplete. */
static int refusals_close(struct refusals *r, struct err *e)
{
    progress_clear(r->progress);
    if (r->count > REFUSALS_SHOWN)
        fprintf(stderr, "… and %" PRIu64 " more refused\n", r->count - REFUSALS_SHOWN);
    if (!r->file)
        return 0;
    int failed = ferror(r->file);
    failed |= fclose(r->file);
    return failed ? err_set(e, ERR_IO, "the file of --refused could not be written completely") : 0;
}

/* Reading and sending. */

static void on_refused(void *owner, struct sender_origin origin, const char *text)
{
    struct emit *m = owner;
    struct err e;
    err_set(&e, ERR_REFUSED, "refused by Redis: %s", text);
    refusals_add(&m->refusals, origin.file, origin.line, e.text);
}

/* They come in the order of the input. */
static void on_lost(void *owner, const struct err *error)
{
    struct emit *m = owner;
    uint64_t suppressed = 0;
    if (log_cause_failed(&m->lost, error->text, clock_monotonic_ms(), &suppressed))
        log_warn(peer_lost, LOG_STR("peer", "redis"), LOG_U64("held_back", suppressed),
                 LOG_ERR(error));
}

static void on_back(void *owner)
{
    struct emit *m = owner;
    if (log_cause_recovered(&m->lost))
        log_info(peer_back, LOG_STR("peer", "redis"));
}

static void on_unknown(void *owner, struct sender_origin origin)
{
    struct emit *m = owner;
    if (m->unknown++ == 0)
        m->first_unknown = origin;
    m->last_unknown = origin;
}

static int process_line(struct emit *m, struct slice line, struct sender_origin origin,
                        struct err *e)
{
    int64_t now_ms = clock_unix_ms();
    if (line.length == 0)
        return 0;
    if (event_line_parse(&m->event, line.data, line.length, now_ms, m->metrics)) {
        refusals_add(&m->refusals, origin.file, origin.line, m->event.why);
        return 0;
    }
    m->accepted++;
    return m->sender ? sender_add(m->sender, &m->event, origin, now_ms, e) : 0;
}

/* Returns 1 to go on, 0 at the end, -1 with e. */
static int process_next(struct emit *m, struct line_reader *reader, const char *name, struct err *e)
{
    struct slice line;
    enum line_state state = line_reader_next(reader, &line, e);
    struct sender_origin origin = {name, line_reader_number(reader)};
    switch (state) {
    case LINE_READ:
        return process_line(m, line, origin, e) ? -1 : 1;
    case LINE_TOO_LONG:
        refusals_add(&m->refusals, name, origin.line, "the line is longer than 1 MiB");
        return 1;
    case LINE_WAIT:
        return m->sender && sender_flush(m->sender, e) ? -1 : 1;
    case LINE_END:
        return 0;
    case LINE_FAILED:
        break;
    }
    return e->kind == ERR_CANCELED && stopping ? 0 : err_wrap(e, "%s", name);
}

static int read_input(struct emit *m, int fd, const char *name, struct err *e)
{
    struct line_reader *reader = line_reader_new(fd);
    int more = 1;
    while (more > 0 && !stopping) {
        more = process_next(m, reader, name, e);
        progress_show(&m->progress, m->sender ? sender_acknowledged(m->sender) : m->accepted,
                      m->refusals.count);
    }
    line_reader_free(reader);
    return more < 0 ? -1 : 0;
}

static int read_file(struct emit *m, const char *name, struct err *e)
{
    if (strcmp(name, "-") == 0)
        return read_input(m, STDIN_FILENO, "stdin", e);
    int fd = open(name, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_set(e, ERR_IO, "open %s: %s", name, strerror(errno));
    int result = read_input(m, fd, name, e);
    close(fd);
    return result;
}

static int read_all(struct emit *m, struct err *e)
{
    int result = m->config->files_count ? 0 : read_file(m, "-", e);
    for (int i = 0; result == 0 && i < m->config->files_count && !stopping; i++)
        result = read_file(m, m->config->files[i], e);
    return result;
}

/* If a file cannot be read, what was read before it is sent all the same. */
static int finish(struct emit *m, int result, struct err *e)
{
    struct err later;
    if (!m->sender || m->unknown > 0 || sender_flush(m->sender, &later) == 0)
        return result;
    *e = later;
    return -1;
}

static void print_summary(struct emit *m)
{
    uint64_t sent = m->sender ? sender_acknowledged(m->sender) : 0;
    if (m->unknown > 0)
        fprintf(stderr,
                "%" PRIu64 " events may not have been sent, from %s:%" PRIu64 " to %s:%" PRIu64
                "; no later line was sent\n",
                m->unknown, m->first_unknown.file, m->first_unknown.line, m->last_unknown.file,
                m->last_unknown.line);
    if (stopping)
        fputs("stopped by a signal before the end of the input\n", stderr);
    if (m->sender)
        fprintf(stderr, "%" PRIu64 " sent, %" PRIu64 " refused\n", sent, m->refusals.count);
    else
        fprintf(stderr, "%" PRIu64 " valid, %" PRIu64 " refused, nothing was sent (dry run)\n",
                m->accepted, m->refusals.count);
}

static int run(struct emit *m, struct err *e)
{
    struct err list;
    int result = finish(m, read_all(m, e), e);
    int listed = refusals_close(&m->refusals, &list);
    if (result)
        fprintf(stderr, "%s: %s\n", EMITTER_PROGRAM, e->text);
    if (listed)
        fprintf(stderr, "%s: %s\n", EMITTER_PROGRAM, list.text);
    print_summary(m);
    bool all_well = !result && !listed && m->refusals.count == 0 && !stopping;
    return all_well ? EMITTER_DONE : EMITTER_FAILED;
}

static int prepare(struct emit *m, struct err *e)
{
    const struct emitter_config *config = m->config;
    if (config->catalog && !(m->metrics = metric_names_load(config->catalog, e)))
        return -1;
    if (refusals_open(&m->refusals, config->refused, &m->progress, e))
        return -1;
    if (!config->dry_run)
        m->sender = sender_new(&(struct sender_settings){.config = m->config,
                                                         .files = emitter_config_files(m->config),
                                                         .on_refused = on_refused,
                                                         .on_unknown = on_unknown,
                                                         .on_lost = on_lost,
                                                         .on_back = on_back,
                                                         .owner = m});
    return 0;
}

int emit_run(struct emitter_config *config)
{
    int64_t now_ms = clock_monotonic_ms();
    struct emit m = {
        .config = config,
        .progress = {.visible = isatty(STDERR_FILENO) == 1, .begun_ms = now_ms, .next_ms = now_ms}};
    struct err e;
    int code = EMITTER_USAGE;
    if (prepare(&m, &e))
        fprintf(stderr, "%s: %s\n", EMITTER_PROGRAM, e.text);
    else
        code = run(&m, &e);
    if (m.sender)
        sender_free(m.sender);
    metric_names_free(m.metrics);
    event_line_done(&m.event);
    return code;
}
