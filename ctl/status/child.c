#include "ctl/status/child.h"

#include "common/clock.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CHILDREN_MAX = 4, READ_BYTES = 65536 };

/* The child takes no part in the parent's signals, and must not outlive the parent. */
static void run_work(int fd, void (*work)(void *owner, int fd), void *owner)
{
    static const int SIGNALS[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGWINCH};
    for (size_t i = 0; i < sizeof SIGNALS / sizeof SIGNALS[0]; i++)
        signal(SIGNALS[i], SIG_DFL);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    work(owner, fd);
    _exit(0);
}

void child_start(struct child *c, void (*work)(void *owner, int fd), void *owner)
{
    int ends[2];
    int failed = pipe2(ends, O_CLOEXEC);
    assert(!failed);
    *c = (struct child){.fd = ends[0]};
    c->pid = fork();
    assert(c->pid >= 0);
    if (c->pid == 0)
        run_work(ends[1], work, owner);
    close(ends[1]);
}

void child_tell(int fd, json_t *finding)
{
    char *line = json_dumps(finding, JSON_COMPACT);
    size_t length = line ? strlen(line) : 0;
    json_decref(finding);
    if (!line)
        return;
    line[length++] = '\n'; /* in the place of the NUL */
    for (size_t written = 0; written < length;) {
        ssize_t n = write(fd, line + written, length - written);
        /* If the parent is gone the write fails, or kills the child; both are right. */
        if (n < 0)
            _exit(1);
        written += (size_t)n;
    }
    free(line);
}

bool child_runs(const struct child *c)
{
    return c->pid > 0;
}

void child_end(struct child *c)
{
    if (c->pid <= 0)
        return;
    kill(c->pid, SIGKILL);
    while (waitpid(c->pid, NULL, 0) < 0 && errno == EINTR)
        continue;
    close(c->fd);
    buf_done(&c->text);
    c->pid = 0;
}

static void take_lines(struct child *c, child_take_fn take, void *owner)
{
    char *start = c->text.data;
    char *end;
    for (; start && (end = strchr(start, '\n')); start = end + 1) {
        json_t *finding = json_loadb(start, (size_t)(end - start), 0, NULL);
        if (finding)
            take(owner, finding);
        json_decref(finding);
    }
    if (!start)
        return;
    char *rest = xstrdup(start);
    buf_clear(&c->text);
    buf_add_str(&c->text, rest);
    free(rest);
}

static void read_some(struct child *c, child_take_fn take, void *owner)
{
    buf_reserve(&c->text, READ_BYTES);
    ssize_t n = read(c->fd, c->text.data + c->text.length, READ_BYTES - 1);
    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return;
    if (n <= 0) {
        child_end(c);
        return;
    }
    c->text.length += (size_t)n;
    c->text.data[c->text.length] = '\0';
    take_lines(c, take, owner);
}

void child_wait(struct child *children[], int n, int64_t deadline_ms, child_take_fn take,
                void *owner)
{
    struct pollfd fds[CHILDREN_MAX];
    int64_t left_ms = deadline_ms - clock_monotonic_ms();
    assert(n <= CHILDREN_MAX);
    for (int i = 0; i < n; i++)
        fds[i] =
            (struct pollfd){.fd = child_runs(children[i]) ? children[i]->fd : -1, .events = POLLIN};
    if (left_ms <= 0 || poll(fds, (nfds_t)n, (int)left_ms) <= 0)
        return;
    for (int i = 0; i < n; i++)
        if (fds[i].revents)
            read_some(children[i], take, owner);
}
