/* The skeleton of a daemon: its life, its exit codes and its ops answers. */
#include "common/ops.h"
#include "common/stage.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* A stage that writes its life down: s start, d drain, c close. */
struct life {
    struct conf_base base;
    char told[16];
    struct stage *stage;
    uv_timer_t timer;
    int signal;          /* sent to ourselves once running, or 0 */
    int finish_code;     /* for stage_finish if there is no signal */
    bool finish_at_once; /* inside start */
    bool start_fails;
    bool drained_late; /* stage_drained comes from a later turn, and twice */
};

static void tell(struct life *l, char what)
{
    l->told[strlen(l->told)] = what;
}

static void on_running(uv_timer_t *timer)
{
    struct life *l = timer->data;
    assert_false(stage_is_draining(l->stage));
    if (l->signal)
        kill(getpid(), l->signal);
    else
        stage_finish(l->stage, l->finish_code);
}

static int life_start(struct stage *s, void *owner, struct err *e)
{
    struct life *l = owner;
    tell(l, 's');
    if (l->start_fails)
        return err_set(e, ERR_CONFIG, "cannot");
    l->stage = s;
    uv_timer_init(stage_loop(s), &l->timer);
    l->timer.data = l;
    if (l->finish_at_once)
        stage_finish(s, l->finish_code);
    else
        uv_timer_start(&l->timer, on_running, 5, 0);
    return 0;
}

static void on_drained_late(uv_timer_t *timer)
{
    struct life *l = timer->data;
    stage_drained(l->stage);
    stage_drained(l->stage);
}

static void life_drain(void *owner)
{
    struct life *l = owner;
    tell(l, 'd');
    assert_true(stage_is_draining(l->stage));
    if (l->drained_late)
        uv_timer_start(&l->timer, on_drained_late, 5, 0);
    else
        stage_drained(l->stage);
    stage_finish(l->stage, l->finish_code);
}

static void life_close(void *owner)
{
    struct life *l = owner;
    tell(l, 'c');
    uv_close((uv_handle_t *)&l->timer, NULL);
}

static const struct conf_setting NO_SETTINGS[] = {{.name = NULL}};

static const struct stage_spec LIFE = {.name = "life",
                                       .program = "meterline-life",
                                       .what = "lives",
                                       .settings = NO_SETTINGS,
                                       .start = life_start,
                                       .drain = life_drain,
                                       .close = life_close};

/* However it ends: started once, drained once, closed once, with the code that was asked for. */
static void test_life(void **state)
{
    (void)state;
    static char listen[] = "127.0.0.1:0";
    const struct {
        struct life life;
        const char *told;
        int code;
    } ROWS[] = {
        {{.signal = SIGTERM}, "sdc", 0},
        {{.signal = SIGINT}, "sdc", 0},
        {{.signal = SIGTERM, .drained_late = true}, "sdc", 0},
        {{.finish_code = 1}, "sdc", 1},
        {{.finish_code = 0}, "sdc", 0},
        {{.finish_code = 1, .finish_at_once = true}, "sdc", 1},
        {{.start_fails = true}, "s", 1},
    };
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        struct life life = ROWS[i].life;
        life.base.ops_listen = listen;
        assert_int_equal(stage_run(&LIFE, &life), ROWS[i].code);
        assert_string_equal(life.told, ROWS[i].told);
    }
}

/* An ops listener that cannot listen ends the start. */
static void test_ops_refused(void **state)
{
    (void)state;
    static char listen[] = "no-such-host.invalid:1";
    struct life life = {.base.ops_listen = listen};
    assert_int_equal(stage_run(&LIFE, &life), 1);
    assert_string_equal(life.told, "");
}

static bool is_ready_unless(void *owner, struct buf *why)
{
    const char *missing = owner;
    if (missing)
        buf_printf(why, "%s\n", missing);
    return !missing || !strncmp(missing, "held", 4);
}

static void test_ops_answers(void **state)
{
    (void)state;
    const struct {
        const char *method;
        const char *path;
        const char *missing;
        int status;
        const char *body;
    } ROWS[] = {
        {"GET", "/healthz", NULL, 200, "ok\n"},
        {"HEAD", "/healthz", "redis", 200, "ok\n"},
        {"GET", "/readyz", NULL, 200, "ready\n"},
        {"GET", "/readyz", "redis: connection lost", 503, "redis: connection lost\n"},
        {"GET", "/readyz", "held: a part", 200, "ready\nheld: a part\n"},
        {"POST", "/readyz", NULL, 405, "method not allowed\n"},
        {"DELETE", "/metrics", NULL, 405, "method not allowed\n"},
        {"GET", "/", NULL, 404, "not found\n"},
        {"GET", "/metrics/", NULL, 404, "not found\n"},
        {"POST", "/nothing", NULL, 404, "not found\n"},
    };
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        union {
            const char *text;
            void *any;
        } missing = {.text = ROWS[i].missing};
        struct ops_source source = {.ready = is_ready_unless, .owner = missing.any};
        struct buf body = {0};
        assert_int_equal(ops_answer(&source, ROWS[i].method, ROWS[i].path, &body), ROWS[i].status);
        assert_string_equal(body.data, ROWS[i].body);
        buf_done(&body);
    }
}

static int crash_start(struct stage *s, void *owner, struct err *e)
{
    (void)e;
    stage_crash_point("elsewhere");
    stage_crash_point("here");
    stage_crash_point("here");
    return life_start(s, owner, e);
}

/* A point kills at its n-th time, and only the named one. Returns whether the child was killed. */
static bool is_killed_at(const char *point)
{
    pid_t child = fork();
    if (child == 0) {
        struct stage_spec spec = LIFE;
        spec.start = crash_start;
        struct life life = {.signal = SIGTERM};
        setenv("METERLINE_TEST_CRASH", point, 1);
        stage_run(&spec, &life);
        _exit(0);
    }
    int status = 0;
    waitpid(child, &status, 0);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}

static void test_crash_points(void **state)
{
    (void)state;
    assert_true(is_killed_at("here"));
    assert_true(is_killed_at("here:2"));
    assert_false(is_killed_at("here:3"));
    assert_false(is_killed_at("her"));
    assert_false(is_killed_at("here_too"));
}

/* An unknown flag is wrong usage; --version and --help end with 0 without any setting. */
static void test_flags(void **state)
{
    (void)state;
    const struct {
        const char *flag;
        int code;
    } ROWS[] = {{"--version", 0}, {"--nonsense", 2}, {"--once", 2}, {"extra", 2}};
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        char program[] = "meterline-life";
        char *flag = xstrdup(ROWS[i].flag);
        char *argv[] = {program, flag, NULL};
        struct life life = {0};
        assert_int_equal(stage_config(2, argv, &LIFE, &life, NULL), ROWS[i].code);
        free(flag);
    }
    char program[] = "meterline-life";
    char flag[] = "--once";
    char *argv[] = {program, flag, NULL};
    struct life life = {0};
    bool once = false;
    bool twice = false;
    const struct stage_flag flags[] = {{"--twice", "again", .value = &twice},
                                       {"--once", "and end", .value = &once},
                                       {.name = NULL}};
    assert_int_equal(stage_config(2, argv, &LIFE, &life, flags), -1);
    assert_true(once);
    assert_false(twice);
}

/* A flag with seconds, as one argument or two, and only beside one that it is for. */
static void test_flag_with_seconds(void **state)
{
    (void)state;
    const struct {
        const char *words[3];
        int code;
        int64_t seconds;
    } ROWS[] = {
        {{"--once", "--wait=7"}, -1, 7},
        {{"--wait", "8", "--once"}, -1, 8},
        {{"--dry", "--wait", "86400"}, -1, 86400},
        {{"--once"}, -1, 30},
        {{"--wait", "8"}, 2, 8},
        {{"--once", "--wait"}, 2, 30},
        {{"--once", "--wait", "0"}, 2, 0},
        {{"--once", "--wait=86401"}, 2, 86401},
        {{"--once", "--wait=1s"}, 2, 30},
        {{"--once", "--waits=1"}, 2, 30},
        {{"--once=1"}, 2, 30},
    };
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        char *argv[5] = {xstrdup("meterline-life")};
        int argc = 1;
        for (int k = 0; k < 3 && ROWS[i].words[k]; k++)
            argv[argc++] = xstrdup(ROWS[i].words[k]);
        struct life life = {0};
        bool once = false;
        bool dry = false;
        int64_t seconds = 30;
        const struct stage_flag flags[] = {
            {"--once", "and end", .value = &once},
            {"--dry", "only look", .value = &dry},
            {"--wait", "S: so long", .seconds = &seconds, .needs = {&once, &dry}},
            {.name = NULL}};
        assert_int_equal(stage_config(argc, argv, &LIFE, &life, flags), ROWS[i].code);
        assert_int_equal(seconds, ROWS[i].seconds);
        while (argc > 0)
            free(argv[--argc]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_life),        cmocka_unit_test(test_ops_refused),
        cmocka_unit_test(test_ops_answers), cmocka_unit_test(test_crash_points),
        cmocka_unit_test(test_flags),       cmocka_unit_test(test_flag_with_seconds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
