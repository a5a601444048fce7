/* Happy path: each datagram goes out at once. Failure modes: systemd reads so slowly that its
 * socket is full (the loop must not wait: a status is told at the next look, a beat is followed by
 * the next one), or the socket is not there (logged once; nothing else depends on it). */
#include "common/systemd.h"

#include "common/closing.h"
#include "common/log.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { LOOK_EVERY_MS = 1000 };

struct systemd {
    uv_timer_t look;
    uv_timer_t beat;
    struct closing closing;
    struct sockaddr_un address;
    socklen_t address_bytes;
    int fd;
    bool failure_logged;
    char *told; /* the last text that arrived; or NULL */
    bool (*ready)(void *owner, struct buf *why);
    void *owner;
};

static void log_unreachable(struct systemd *s, int error)
{
    if (s->failure_logged)
        return;
    s->failure_logged = true;
    log_warn(systemd_notify_failed, LOG_STR("socket", getenv("NOTIFY_SOCKET")),
             LOG_MSG(strerror(error)));
}

/* Returns whether it has gone out. */
static bool tell(struct systemd *s, const char *text)
{
    size_t length = strlen(text);
    if (sendto(s->fd, text, length, MSG_DONTWAIT | MSG_NOSIGNAL,
               (const struct sockaddr *)&s->address, s->address_bytes) == (ssize_t)length)
        return true;
    if (errno != EAGAIN && errno != EINTR)
        log_unreachable(s, errno);
    return false;
}

/* READY=1 again with each status changes nothing, and makes up for one that did not go out. */
static void tell_status(struct systemd *s)
{
    struct buf why = {0};
    struct buf text = {0};
    bool ready = s->ready(s->owner, &why);
    buf_join_lines(&why);
    buf_printf(&text, "READY=1\nSTATUS=%s", ready ? "ready" : "not ready");
    if (why.length > 0)
        buf_printf(&text, ": %s", why.data);
    if ((!s->told || strcmp(s->told, text.data) != 0) && tell(s, text.data)) {
        free(s->told);
        s->told = buf_take(&text);
    }
    buf_done(&text);
    buf_done(&why);
}

static void on_look(uv_timer_t *timer)
{
    tell_status(timer->data);
}

static void on_beat(uv_timer_t *timer)
{
    tell(timer->data, "WATCHDOG=1");
}

/* A path, or an abstract name, which is written with @ for the NUL that it begins with. Returns
 * false if it is something else, such as vsock:, which is for virtual machines. */
static bool parse_address(struct systemd *s, const char *text)
{
    size_t length = strlen(text);
    if ((*text != '/' && *text != '@') || length < 2 || length >= sizeof s->address.sun_path)
        return false;
    s->address.sun_family = AF_UNIX;
    memcpy(s->address.sun_path, text, length);
    if (*text == '@')
        s->address.sun_path[0] = '\0';
    s->address_bytes = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
    return true;
}

/* Half of what systemd waits for a beat; 0: it does not. sd_watchdog_enabled(3). */
static uint64_t beat_every_ms(void)
{
    const char *usec_text = getenv("WATCHDOG_USEC");
    const char *pid_text = getenv("WATCHDOG_PID");
    int64_t usec;
    int64_t pid;
    if (!usec_text || str_to_i64(usec_text, strlen(usec_text), &usec) || usec < 2000)
        return 0;
    if (pid_text && (str_to_i64(pid_text, strlen(pid_text), &pid) || pid != getpid()))
        return 0;
    return (uint64_t)usec / 2000;
}

static void begin(struct systemd *s, uv_loop_t *loop)
{
    uint64_t beat_ms = beat_every_ms();
    uv_timer_init(loop, &s->look);
    uv_timer_init(loop, &s->beat);
    s->look.data = s->beat.data = s;
    uv_timer_start(&s->look, on_look, LOOK_EVERY_MS, LOOK_EVERY_MS);
    if (beat_ms > 0)
        uv_timer_start(&s->beat, on_beat, 0, beat_ms);
    tell_status(s);
}

struct systemd *systemd_open(uv_loop_t *loop, bool (*ready)(void *owner, struct buf *why),
                             void *owner)
{
    const char *socket_name = getenv("NOTIFY_SOCKET");
    if (!socket_name)
        return NULL;
    struct systemd *s = xcalloc(1, sizeof *s);
    s->ready = ready;
    s->owner = owner;
    s->fd = parse_address(s, socket_name) ? socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0) : -1;
    if (s->fd < 0) {
        log_unreachable(s, s->address_bytes > 0 ? errno : EAFNOSUPPORT);
        free(s);
        return NULL;
    }
    begin(s, loop);
    return s;
}

void systemd_stopping(struct systemd *s)
{
    uv_timer_stop(&s->look);
    tell(s, "STOPPING=1\nSTATUS=finishing what is in flight");
}

static void release(void *self)
{
    struct systemd *s = self;
    close(s->fd);
    free(s->told);
    free(s);
}

void systemd_close(struct systemd *s)
{
    closing_begin(&s->closing, s, release, NULL, NULL);
    closing_handle(&s->closing, &s->look);
    closing_handle(&s->closing, &s->beat);
    closing_end(&s->closing);
}
