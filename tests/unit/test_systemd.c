/* What systemd is told: READY, STATUS, WATCHDOG and STOPPING, over real sockets. */
#include "common/log.h"
#include "common/systemd.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/capture.h"

enum { WAIT_S = 20 };

struct fixture {
    uv_loop_t loop;
    int fd; /* systemd's end */
    bool ready;
    const char *why;
    char text[512]; /* the newest datagram */
};

static bool is_ready(void *owner, struct buf *why)
{
    struct fixture *f = owner;
    buf_add_str(why, f->why);
    return f->ready;
}

/* name: as NOTIFY_SOCKET has it. */
static void listen_at(struct fixture *f, const char *name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t length = strlen(name);
    memcpy(address.sun_path, name, length);
    if (*name == '@')
        address.sun_path[0] = '\0';
    f->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(f->fd, (struct sockaddr *)&address,
                          (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length)),
                     0);
    setenv("NOTIFY_SOCKET", name, 1);
}

static char *abstract_name(void)
{
    static char name[64];
    snprintf(name, sizeof name, "@meterline/test/%d", getpid());
    return name;
}

static int begin(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    uv_loop_init(&f->loop);
    f->fd = -1;
    f->why = "";
    unsetenv("NOTIFY_SOCKET");
    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
    *state = f;
    return 0;
}

static int end(void **state)
{
    struct fixture *f = *state;
    /* After a failure something is still open, and has timers. */
    uint64_t until = uv_hrtime() + WAIT_S * (uint64_t)1000000000;
    while (uv_run(&f->loop, UV_RUN_ONCE) && uv_hrtime() < until)
        continue;
    int left = uv_loop_close(&f->loop);
    if (f->fd >= 0)
        close(f->fd);
    free(f);
    return left;
}

/* Turn the loop until a datagram is there. */
static const char *next(struct fixture *f)
{
    uint64_t until = uv_hrtime() + WAIT_S * (uint64_t)1000000000;
    ssize_t length;
    memset(f->text, 0, sizeof f->text);
    while ((length = recv(f->fd, f->text, sizeof f->text - 1, 0)) < 0 && uv_hrtime() < until)
        uv_run(&f->loop, UV_RUN_ONCE);
    assert_true(length > 0);
    return f->text;
}

/* … that is no WATCHDOG=1: some may have come meanwhile. */
static const char *next_other(struct fixture *f)
{
    const char *text = next(f);
    while (!strcmp(text, "WATCHDOG=1"))
        text = next(f);
    return text;
}

static void nobody_asks(void **state)
{
    struct fixture *f = *state;
    assert_null(systemd_open(&f->loop, is_ready, f));
}

static void it_is_up_while_a_peer_is_away(void **state)
{
    struct fixture *f = *state;
    listen_at(f, abstract_name());
    f->why = "postgres: connecting\nschema: unknown\n";
    struct systemd *s = systemd_open(&f->loop, is_ready, f);
    assert_string_equal(next(f), "READY=1\nSTATUS=not ready: postgres: connecting;schema: unknown");
    f->ready = true;
    f->why = "";
    assert_string_equal(next(f), "READY=1\nSTATUS=ready");
    systemd_stopping(s);
    assert_string_equal(next(f), "STOPPING=1\nSTATUS=finishing what is in flight");
    systemd_close(s);
}

static void a_socket_may_be_a_path(void **state)
{
    struct fixture *f = *state;
    char folder[] = "/tmp/meterline-XXXXXX";
    char path[64];
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/notify", folder);
    listen_at(f, path);
    f->ready = true;
    struct systemd *s = systemd_open(&f->loop, is_ready, f);
    assert_string_equal(next(f), "READY=1\nSTATUS=ready");
    systemd_close(s);
    unlink(path);
    rmdir(folder);
}

static void the_watchdog_is_fed_by_the_loop(void **state)
{
    struct fixture *f = *state;
    listen_at(f, abstract_name());
    char pid[16];
    snprintf(pid, sizeof pid, "%d", getpid());
    setenv("WATCHDOG_USEC", "20000", 1);
    setenv("WATCHDOG_PID", pid, 1);
    f->ready = true;
    uv_update_time(&f->loop);
    uint64_t before = uv_hrtime();
    struct systemd *s = systemd_open(&f->loop, is_ready, f);
    assert_string_equal(next(f), "READY=1\nSTATUS=ready");
    for (int i = 0; i < 4; i++)
        assert_string_equal(next(f), "WATCHDOG=1");
    assert_true(uv_hrtime() - before > 20000000); /* every 10 ms; late ones follow each other */
    systemd_stopping(s);
    assert_string_equal(next_other(f), "STOPPING=1\nSTATUS=finishing what is in flight");
    assert_string_equal(next(f), "WATCHDOG=1");
    systemd_close(s);
}

static void a_watchdog_of_another_process_is_not_fed(void **state)
{
    static const char *const CASES[][2] = {
        {"20000", "1"}, {"", NULL}, {"soon", NULL}, {"20000", "me"}};
    struct fixture *f = *state;
    listen_at(f, abstract_name());
    f->ready = true;
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        setenv("WATCHDOG_USEC", CASES[i][0], 1);
        if (CASES[i][1])
            setenv("WATCHDOG_PID", CASES[i][1], 1);
        else
            unsetenv("WATCHDOG_PID");
        f->why = "";
        struct systemd *s = systemd_open(&f->loop, is_ready, f);
        assert_string_equal(next(f), "READY=1\nSTATUS=ready");
        f->why = "lag: 7 s";
        assert_string_equal(next(f), "READY=1\nSTATUS=ready: lag: 7 s"); /* up to 1 s later */
        systemd_close(s);
    }
}

static void what_did_not_go_out_is_told_later(void **state)
{
    struct fixture *f = *state;
    listen_at(f, abstract_name());
    f->ready = true;
    /* Fills the socket, as when systemd does not read. */
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    socklen_t length = sizeof address;
    int other = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    getsockname(f->fd, (struct sockaddr *)&address, &length);
    while (sendto(other, "x", 1, 0, (struct sockaddr *)&address, length) == 1)
        continue;
    close(other);
    struct systemd *s = systemd_open(&f->loop, is_ready, f);
    while (recv(f->fd, f->text, sizeof f->text, 0) == 1)
        continue;
    assert_string_equal(next(f), "READY=1\nSTATUS=ready");
    systemd_close(s);
}

static void a_socket_that_cannot_be_used_is_logged_once(void **state)
{
    static const char *const NAMES[] = {"/no/such/socket", "@nobody/listens", "vsock:2:1", "x"};
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++) {
        setenv("NOTIFY_SOCKET", NAMES[i], 1);
        struct capture c = capture_start(STDERR_FILENO);
        struct systemd *s = systemd_open(&f->loop, is_ready, f);
        if (s)
            systemd_stopping(s);
        char *text = capture_end(&c);
        if (s)
            systemd_close(s);
        char *found = strstr(text, "event=systemd_notify_failed");
        assert_non_null(found);
        assert_null(strstr(found + 1, "event=systemd_notify_failed"));
        free(text);
    }
}

int main(void)
{
    log_init("test", LOG_INFO, LOG_LOGFMT);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(nobody_asks, begin, end),
        cmocka_unit_test_setup_teardown(it_is_up_while_a_peer_is_away, begin, end),
        cmocka_unit_test_setup_teardown(a_socket_may_be_a_path, begin, end),
        cmocka_unit_test_setup_teardown(the_watchdog_is_fed_by_the_loop, begin, end),
        cmocka_unit_test_setup_teardown(a_watchdog_of_another_process_is_not_fed, begin, end),
        cmocka_unit_test_setup_teardown(what_did_not_go_out_is_told_later, begin, end),
        cmocka_unit_test_setup_teardown(a_socket_that_cannot_be_used_is_logged_once, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
