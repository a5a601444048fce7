/* The skeleton that every daemon shares.
 *
 *      STARTING -> RUNNING -> DRAINING -> LEAVING -> CLOSING -> CLOSED
 *          |                                                      ^
 *          +------------------- start failed ---------------------+
 *
 * The happy path: start opens the peers. SIGTERM makes /readyz answer 503 and calls drain; the
 * stage calls stage_drained; its row is deleted from stage_instances; close releases every handle;
 * the loop runs empty; the exit code is 0.
 *
 * Failure modes: if start fails the exit code is 1, and close is not called, since a start function
 * that fails has started nothing. If draining takes longer than DRAIN_MAX_MS, the stage is closed
 * all the same; the outcome of what was in flight is unknown, as after a crash. If a handle is
 * never closed, that is a bug, and after CLOSE_MAX_MS the process aborts, so that no supervisor
 * waits. While a name is still being looked up, which cannot be stopped, the process ends then. */
#include "common/stage.h"
#include "common/build_info.h"

#include "common/conf_reload.h"
#include "common/contract.h"
#include "common/heartbeat.h"
#include "common/log.h"
#include "common/lookup.h"
#include "common/machine.h"
#include "common/metric_table.h"
#include "common/ops.h"
#include "common/patience.h"
#include "common/pg/pg.h"
#include "common/redis/redis.h"
#include "common/systemd.h"

#include <assert.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Together the 10 s that design promises for SIGTERM. */
enum { DRAIN_MAX_MS = 8000, LEAVE_MAX_MS = 500, CLOSE_MAX_MS = 1500 };

enum phase { STARTING, RUNNING, DRAINING, LEAVING, CLOSING, CLOSED };

static const struct machine STAGE = {"stage",
                                     {[STARTING] = {"starting", TO(RUNNING) | TO(CLOSED)},
                                      [RUNNING] = {"running", TO(DRAINING)},
                                      [DRAINING] = {"draining", TO(LEAVING)},
                                      [LEAVING] = {"leaving", TO(CLOSING)},
                                      [CLOSING] = {"closing", TO(CLOSED)},
                                      [CLOSED] = {"closed", 0}}};

struct stage {
    const struct stage_spec *spec;
    void *owner; /* the config; borrowed */
    uv_loop_t loop;
    uv_signal_t on_sigterm;
    uv_signal_t on_sigint;
    uv_signal_t on_sighup;
    uv_timer_t timer; /* a deadline, or a step that must not run inside the stage's own call */
    struct ops *ops;
    struct conf_watch *watch;    /* NULL: no setting comes from a file */
    struct heartbeat *heartbeat; /* NULL: not announced */
    struct patience *patience;   /* NULL: waits for ever */
    struct systemd *systemd;     /* NULL: not started by it */
    enum phase phase;
    int exit_code;
    bool finish_early; /* stage_finish was called while starting */
};

/* Which point to die at, from METERLINE_TEST_CRASH; NULL outside of tests. */
static const char *crash_point;

static void on_close_stuck(uv_timer_t *timer)
{
    struct stage *s = timer->data;
    if (lookup_runs()) {
        /* No fault of ours, and nothing waits for its answer. exit() would take the loop from under
         * it. */
        log_info(stopped, LOG_I64("code", s->exit_code));
        _exit(s->exit_code);
    }
    log_error(close_stuck, LOG_I64("waited_ms", CLOSE_MAX_MS),
              LOG_I64("open_handles", s->loop.active_handles));
    abort();
}

static void end_patience(struct stage *s)
{
    if (s->patience)
        patience_close(s->patience);
    s->patience = NULL;
}

static void close_own_handles(struct stage *s)
{
    uv_close((uv_handle_t *)&s->on_sigterm, NULL);
    uv_close((uv_handle_t *)&s->on_sigint, NULL);
    uv_close((uv_handle_t *)&s->on_sighup, NULL);
    if (s->watch)
        conf_watch_close(s->watch);
    s->watch = NULL;
    if (s->ops)
        ops_close(s->ops);
    s->ops = NULL;
    if (s->heartbeat)
        heartbeat_close(s->heartbeat);
    s->heartbeat = NULL;
    if (s->systemd)
        systemd_close(s->systemd);
    s->systemd = NULL;
    end_patience(s);
}

static void begin_closing(struct stage *s)
{
    machine_go(&STAGE, s->phase, CLOSING);
    s->spec->close(s->owner);
    close_own_handles(s);
    uv_timer_start(&s->timer, on_close_stuck, CLOSE_MAX_MS, 0);
    /* The guard must not itself keep the loop alive. */
    uv_unref((uv_handle_t *)&s->timer);
}

static void on_leave_ended(uv_timer_t *timer)
{
    begin_closing(timer->data);
}

/* In a later turn of the loop, since closing frees the heartbeat, which calls this. */
static void on_left(void *owner)
{
    struct stage *s = owner;
    uv_timer_start(&s->timer, on_leave_ended, 0, 0);
}

static void begin_leaving(struct stage *s)
{
    machine_go(&STAGE, s->phase, LEAVING);
    if (s->heartbeat && heartbeat_leave(s->heartbeat, on_left, s))
        uv_timer_start(&s->timer, on_leave_ended, LEAVE_MAX_MS, 0);
    else
        begin_closing(s);
}

static void on_drained(uv_timer_t *timer)
{
    begin_leaving(timer->data);
}

static void on_drain_overdue(uv_timer_t *timer)
{
    log_warn(drain_cut, LOG_I64("waited_ms", DRAIN_MAX_MS),
             LOG_MSG("work was still in flight; it is repeated safely at the next start"));
    begin_leaving(timer->data);
}

static void on_drain(uv_timer_t *timer)
{
    struct stage *s = timer->data;
    uv_timer_start(&s->timer, on_drain_overdue, DRAIN_MAX_MS, 0);
    if (s->spec->drain)
        s->spec->drain(s->owner);
    else
        stage_drained(s);
}

static void begin_draining(struct stage *s, const char *cause)
{
    if (s->phase != RUNNING)
        return;
    log_info(draining, LOG_STR("cause", cause));
    end_patience(s);
    if (s->systemd)
        systemd_stopping(s->systemd);
    machine_go(&STAGE, s->phase, DRAINING);
    /* From the loop, so that a stage that calls stage_finish is not entered again inside its call.
     */
    uv_timer_start(&s->timer, on_drain, 0, 0);
}

static void on_signal(uv_signal_t *handle, int number)
{
    begin_draining(handle->data, number == SIGTERM ? "SIGTERM" : "SIGINT");
}

static void on_sighup(uv_signal_t *handle, int number)
{
    struct stage *s = handle->data;
    (void)number;
    log_info(settings_read_again, LOG_STR("cause", "SIGHUP"));
    conf_watch_read(s->watch);
}

/* Connections that are up stay as they are; later ones use the new text. All other settings are
 * read from the config at each use. */
static void on_setting_changed(const struct conf_setting *setting, const char *text)
{
    if (!strcmp(setting->name, "DATABASE_URL"))
        pg_use_url(text);
    else if (!strcmp(setting->name, "REDIS_URL"))
        redis_use_login(text);
}

static void open_watch(struct stage *s)
{
    s->watch =
        conf_watch_open(&s->loop, &(struct conf_reload_terms){.table = s->spec->settings,
                                                              .config = s->owner,
                                                              .check = s->spec->check,
                                                              .on_changed = on_setting_changed});
}

void stage_drained(struct stage *s)
{
    if (s->phase == DRAINING)
        uv_timer_start(&s->timer, on_drained, 0, 0);
}

void stage_finish(struct stage *s, int exit_code)
{
    s->exit_code = exit_code;
    if (s->phase == STARTING)
        s->finish_early = true;
    else
        begin_draining(s, exit_code == EXIT_DONE ? "done" : "failed");
}

uv_loop_t *stage_loop(struct stage *s)
{
    return &s->loop;
}

bool stage_is_draining(const struct stage *s)
{
    return s->phase != STARTING && s->phase != RUNNING;
}

static bool is_ready(void *owner, struct buf *why)
{
    struct stage *s = owner;
    if (s->phase != RUNNING) {
        buf_add_str(why, s->phase == STARTING ? "starting\n" : "draining\n");
        return false;
    }
    return !s->spec->ready || s->spec->ready(s->owner, why);
}

void stage_announce(struct stage *s, const char *instance)
{
    const struct conf_base *base = s->owner;
    s->heartbeat = heartbeat_open(&s->loop, &(struct heartbeat_terms){.url = base->database_url,
                                                                      .stage = s->spec->name,
                                                                      .instance = instance,
                                                                      .ready = is_ready,
                                                                      .owner = s});
}

static void on_patience_over(void *owner)
{
    stage_finish(owner, EXIT_FAILED);
}

void stage_give_up_after(struct stage *s, int64_t seconds)
{
    s->patience = patience_open(&s->loop, seconds * 1000, is_ready, on_patience_over, s);
}

/* proc(5): statm's second number is the resident set, in pages. */
static int64_t resident_bytes(void)
{
    long long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (f && fscanf(f, "%*s %lld", &pages) != 1)
        pages = 0;
    if (f)
        fclose(f);
    return pages * sysconf(_SC_PAGESIZE);
}

static void scrape(void *owner)
{
    struct stage *s = owner;
    struct buf why = {0};
    metric_set(metric_of(METRIC_OF_READY, ""), is_ready(s, &why));
    metric_set(metric_of(METRIC_OF_MEMORY, ""), resident_bytes());
    buf_done(&why);
    if (s->spec->scrape)
        s->spec->scrape(s->owner);
}

static int open_ops(struct stage *s, struct err *e)
{
    const struct conf_base *base = s->owner;
    if (!base->ops_listen)
        return 0;
    s->ops = ops_open(&s->loop, base->ops_listen,
                      (struct ops_source){.ready = is_ready, .scrape = scrape, .owner = s}, e);
    return s->ops ? 0 : err_wrap(e, "ops listener");
}

static void init_handles(struct stage *s)
{
    int failed = uv_loop_init(&s->loop);
    assert(!failed);
    uv_signal_init(&s->loop, &s->on_sigterm);
    uv_signal_init(&s->loop, &s->on_sigint);
    uv_timer_init(&s->loop, &s->timer);
    uv_signal_init(&s->loop, &s->on_sighup);
    s->on_sigterm.data = s->on_sigint.data = s->on_sighup.data = s->timer.data = s;
    uv_signal_start(&s->on_sigterm, on_signal, SIGTERM);
    uv_signal_start(&s->on_sigint, on_signal, SIGINT);
    uv_signal_start(&s->on_sighup, on_sighup, SIGHUP);
}

static void stage_start(struct stage *s)
{
    struct err e = {0};
    if (open_ops(s, &e) || s->spec->start(s, s->owner, &e)) {
        log_error(start_failed, LOG_ERR(&e));
        close_own_handles(s);
        machine_go(&STAGE, s->phase, CLOSED);
        s->exit_code = EXIT_FAILED;
        return;
    }
    machine_go(&STAGE, s->phase, RUNNING);
    open_watch(s);
    log_info(started, LOG_STR("version", METERLINE_VERSION), LOG_I64("pid", getpid()));
    s->systemd = systemd_open(&s->loop, is_ready, s);
    if (s->finish_early)
        begin_draining(s, s->exit_code == EXIT_DONE ? "done" : "failed");
}

/* Let handles close, and close the loop. After a failed start some handles of the stage may be
 * left: what it had opened before it failed ends with the process. */
static void end_loop(struct stage *s)
{
    bool start_failed = s->phase == CLOSED;
    if (!start_failed)
        machine_go(&STAGE, s->phase, CLOSED);
    uv_close((uv_handle_t *)&s->timer, NULL);
    /* Closing takes a few turns of the loop; none of them waits. */
    for (int turn = 0; turn < 16 && uv_run(&s->loop, UV_RUN_NOWAIT); turn++)
        continue;
    int left = uv_loop_close(&s->loop);
    assert(left == 0 || start_failed);
}

int stage_run(const struct stage_spec *spec, void *config)
{
    struct stage *s = xcalloc(1, sizeof *s);
    s->spec = spec;
    s->owner = config;
    crash_point = getenv("METERLINE_TEST_CRASH");
    /* A peer that hangs up must be an error of that write, not the end of the process. */
    signal(SIGPIPE, SIG_IGN);
    init_handles(s);
    build_info_export();
    stage_start(s);
    if (s->phase != CLOSED)
        uv_run(&s->loop, UV_RUN_DEFAULT);
    end_loop(s);
    int code = s->exit_code;
    log_info(stopped, LOG_I64("code", code));
    metrics_done();
    pg_use_url(NULL);
    redis_use_login(NULL);
    free(s);
    return code;
}

void stage_crash_point(const char *point)
{
    static int passed;
    if (!crash_point)
        return;
    size_t length = strlen(point);
    if (strncmp(crash_point, point, length) != 0)
        return;
    const char *rest = crash_point + length;
    if (*rest != '\0' && *rest != ':')
        return;
    int at = *rest == ':' ? atoi(rest + 1) : 1;
    if (++passed == at)
        kill(getpid(), SIGKILL);
}
