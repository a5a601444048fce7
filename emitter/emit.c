#include "emitter/emit.h"

#include "common/clock.h"
#include "common/events/csv.h"
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
    struct csv csv;
    bool is_csv;         /* this file is */
    bool has_header;     /* it has been read */
    struct buf record;   /* of several lines, as far as it has come; empty: none */
    uint64_t first_line; /* its first */
    uint64_t accepted;   /* lines that are valid events */
    uint64_t unknown;    /* not acknowledged when it gave up */
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

/* failed: what was read is no event, for m->event.why. */
static int process_event(struct emit *m, int failed, int64_t now_ms, struct sender_origin origin,
                         struct err *e)
{
    if (failed) {
        refusals_add(&m->refusals, origin.file, origin.line, m->event.why);
        return 0;
    }
    m->accepted++;
    return m->sender ? sender_add(m->sender, &m->event, origin, now_ms, e) : 0;
}

static int process_record(struct emit *m, struct slice record, struct sender_origin origin,
                          struct err *e)
{
    int64_t now_ms = clock_unix_ms();
    if (!m->has_header) {
        m->has_header = true;
        return csv_set_header(&m->csv, record, e) ? err_wrap(e, "%s", origin.file) : 0;
    }
    int failed =
        csv_read(&m->csv, record, &m->event) || event_line_check(&m->event, now_ms, m->metrics);
    return process_event(m, failed, now_ms, origin, e);
}

/* A record ends where its quotes do. It counts as being in its first line. */
static int process_csv(struct emit *m, struct slice line, struct sender_origin origin,
                       struct err *e)
{
    if (m->record.length == 0 && !csv_is_open(line))
        return line.length > 0 ? process_record(m, line, origin, e) : 0;
    if (m->record.length == 0)
        m->first_line = origin.line;
    else
        buf_add_char(&m->record, '\n');
    buf_add(&m->record, line.data, line.length);
    struct slice record = {m->record.data, m->record.length};
    struct sender_origin first = {origin.file, m->first_line};
    if (record.length > LINE_MAX_BYTES)
        refusals_add(&m->refusals, first.file, first.line, "the record is longer than 1 MiB");
    else if (csv_is_open(record))
        return 0;
    int result = record.length > LINE_MAX_BYTES ? 0 : process_record(m, record, first, e);
    buf_clear(&m->record);
    return result;
}

static int process_line(struct emit *m, struct slice line, struct sender_origin origin,
                        struct err *e)
{
    int64_t now_ms = clock_unix_ms();
    if (m->is_csv)
        return process_csv(m, line, origin, e);
    if (line.length == 0)
        return 0;
    return process_event(m, event_line_parse(&m->event, line.data, line.length, now_ms, m->metrics),
                         now_ms, origin, e);
}

/* CSV by what the flags say, or by its name. */
static int begin_file(struct emit *m, const char *name, struct err *e)
{
    static const char ENDING[] = ".csv";
    size_t length = strlen(name);
    size_t ending = sizeof ENDING - 1;
    m->is_csv = m->config->csv || m->config->map ||
                (length > ending && !strcmp(name + length - ending, ENDING));
    m->has_header = false;
    csv_done(&m->csv);
    return csv_set_map(&m->csv, m->config->map, e) ? err_wrap(e, "--map") : 0;
}

static void end_file(struct emit *m, const char *name)
{
    if (m->record.length > 0)
        refusals_add(&m->refusals, name, m->first_line, "CSV: a quote is not closed");
    buf_clear(&m->record);
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
    if (begin_file(m, name, e))
        return -1;
    struct line_reader *reader = line_reader_new(fd);
    int more = 1;
    while (more > 0 && !stopping) {
        more = process_next(m, reader, name, e);
        progress_show(&m->progress, m->sender ? sender_acknowledged(m->sender) : m->accepted,
                      m->refusals.count);
    }
    line_reader_free(reader);
    if (more == 0)
        end_file(m, name);
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
    csv_done(&m.csv);
    buf_done(&m.record);
    return code;
}
