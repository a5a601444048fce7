/* post PORT PATH SECRET CONNECTIONS RATE_PER_S <bodies: webhooks signed and posted as Stripe does,
 * over connections that are kept alive, one request at a time on each. Bodies are separated by NUL.
 * All are signed before the first one is sent, so that who is measured has the machine for itself.
 * RATE_PER_S 0: each connection sends as soon as it has its answer. With a rate, time counts from
 * the moment at which a webhook was due, also if no connection was free. Prints
 * `answered ok seconds p50_ms p99_ms max_ms`. */
#include "common/str.h"
#include "tests/bench/probes.h"
#include "tests/bench/wire.h"

#include <sodium.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { CONNECTIONS_MAX = 1024, ANSWER_MAX_BYTES = 8192 };

struct connection {
    int fd;
    bool is_free;
    int64_t due_us; /* of the request in flight */
    size_t sent;
    const char *request;
    size_t request_length;
    size_t got;
    char answer[ANSWER_MAX_BYTES + 1];
};

static struct {
    const char *path;
    const char *secret;
    struct buf bodies;
    size_t *starts; /* of each body, and then of each request */
    struct buf requests;
    size_t n;
    size_t next;     /* to be sent */
    size_t answered; /* all of them */
    size_t ok;       /* with 200 */
    int64_t *took_us;
    double every_us;
    int64_t began_us;
} run;

static void read_bodies(void)
{
    char part[1 << 16];
    size_t room = 0;
    for (size_t n; (n = fread(part, 1, sizeof part, stdin)) > 0;)
        buf_add(&run.bodies, part, n);
    for (size_t at = 0; at < run.bodies.length; at += strlen(run.bodies.data + at) + 1) {
        if (run.n + 1 >= room) {
            room = room ? 2 * room : 1024;
            run.starts = xrealloc(run.starts, room * sizeof *run.starts);
        }
        run.starts[run.n++] = at;
    }
    if (run.n == 0)
        fail("no bodies");
    run.took_us = xcalloc(run.n, sizeof *run.took_us);
}

static void add_request(const char *body, size_t length)
{
    crypto_auth_hmacsha256_state state;
    unsigned char mac[crypto_auth_hmacsha256_BYTES];
    char hex[2 * sizeof mac + 1];
    char now[24];
    snprintf(now, sizeof now, "%lld", (long long)time(NULL));
    crypto_auth_hmacsha256_init(&state, (const unsigned char *)run.secret, strlen(run.secret));
    crypto_auth_hmacsha256_update(&state, (const unsigned char *)now, strlen(now));
    crypto_auth_hmacsha256_update(&state, (const unsigned char *)".", 1);
    crypto_auth_hmacsha256_update(&state, (const unsigned char *)body, length);
    crypto_auth_hmacsha256_final(&state, mac);
    sodium_bin2hex(hex, sizeof hex, mac, sizeof mac);
    buf_printf(&run.requests,
               "POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: Stripe/1.0\r\n"
               "Content-Type: application/json; charset=utf-8\r\n"
               "Stripe-Signature: t=%s,v1=%s\r\nContent-Length: %zu\r\n\r\n",
               run.path, now, hex, length);
    buf_add(&run.requests, body, length);
}

/* Where the request of each body ends is where the next one begins. */
static void make_requests(void)
{
    for (size_t i = 0; i < run.n; i++) {
        const char *body = run.bodies.data + run.starts[i];
        run.starts[i] = run.requests.length;
        add_request(body, strlen(body));
    }
    run.starts[run.n] = run.requests.length;
}

static void open_connection(struct connection *c, uint16_t port)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
    int on = 1;
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (c->fd < 0 || connect(c->fd, (const struct sockaddr *)&to, sizeof to) != 0)
        fail("cannot connect");
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    c->is_free = true;
}

static void write_some(struct connection *c)
{
    while (c->sent < c->request_length) {
        ssize_t n = send(c->fd, c->request + c->sent, c->request_length - c->sent,
                         MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0 && errno == EAGAIN)
            return;
        if (n <= 0)
            fail("a connection was closed while a webhook was sent");
        c->sent += (size_t)n;
    }
}

static void send_next(struct connection *c, int64_t due_us)
{
    c->request = run.requests.data + run.starts[run.next];
    c->request_length = run.starts[run.next + 1] - run.starts[run.next];
    run.next++;
    c->is_free = false;
    c->due_us = due_us;
    c->sent = c->got = 0;
    write_some(c);
}

/* How long the answer is, once its head is there; else 0. */
static size_t answer_length(const char *answer)
{
    const char *end = strstr(answer, "\r\n\r\n");
    const char *length = strcasestr(answer, "\r\nContent-Length:");
    if (!end)
        return 0;
    if (!length || length > end)
        fail("an answer without Content-Length");
    return (size_t)(end + 4 - answer) + strtoull(length + 17, NULL, 10);
}

static void read_some(struct connection *c)
{
    ssize_t n = recv(c->fd, c->answer + c->got, ANSWER_MAX_BYTES - c->got, MSG_DONTWAIT);
    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0)
        fail("a connection was closed before its answer");
    c->got += (size_t)n;
    c->answer[c->got] = '\0';
    size_t length = answer_length(c->answer);
    if (length == 0 || c->got < length)
        return;
    run.took_us[run.answered++] = clock_us() - c->due_us;
    run.ok += strncmp(c->answer, "HTTP/1.1 200 ", 13) == 0;
    c->is_free = true;
}

/* Sends what is due on connections that are free. */
static void send_due(struct connection *all, int n)
{
    int64_t now_us = clock_us();
    for (int i = 0; i < n && run.next < run.n; i++) {
        int64_t due_us =
            run.every_us > 0 ? run.began_us + (int64_t)((double)run.next * run.every_us) : now_us;
        if (due_us > now_us)
            return;
        if (all[i].is_free)
            send_next(&all[i], due_us);
    }
}

static void post_all(struct connection *all, int n, int epoll)
{
    struct epoll_event events[64];
    run.began_us = clock_us();
    while (run.answered < run.n) {
        send_due(all, n);
        int ready = epoll_wait(epoll, events, 64, 1);
        for (int i = 0; i < ready; i++) {
            struct connection *c = events[i].data.ptr;
            if (c->sent < c->request_length)
                write_some(c);
            if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))
                read_some(c);
            if (c->is_free && run.every_us <= 0 && run.next < run.n)
                send_next(c, clock_us());
        }
    }
}

static int by_size(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a;
    int64_t y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static double took_ms(double share)
{
    return (double)run.took_us[(size_t)(share * (double)(run.n - 1))] / 1000;
}

int main(int argc, char **argv)
{
    int n = argc == 6 ? atoi(argv[4]) : 0;
    if (n < 1 || n > CONNECTIONS_MAX)
        fail("usage: post PORT PATH SECRET CONNECTIONS RATE_PER_S <bodies");
    run.path = argv[2];
    run.secret = argv[3];
    double rate_per_s = strtod(argv[5], NULL);
    run.every_us = rate_per_s > 0 ? 1e6 / rate_per_s : 0;
    read_bodies();
    make_requests();
    struct connection *all = xcalloc((size_t)n, sizeof *all);
    int epoll = epoll_create1(0);
    for (int i = 0; i < n; i++) {
        open_connection(&all[i], (uint16_t)atoi(argv[1]));
        struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = &all[i]};
        epoll_ctl(epoll, EPOLL_CTL_ADD, all[i].fd, &event);
    }
    post_all(all, n, epoll);
    double seconds = (double)(clock_us() - run.began_us) / 1e6;
    qsort(run.took_us, run.n, sizeof *run.took_us, by_size);
    printf("%zu %zu %.6f %.3f %.3f %.3f\n", run.answered, run.ok, seconds, took_ms(0.5),
           took_ms(0.99), took_ms(1));
    for (int i = 0; i < n; i++)
        close(all[i].fd);
    close(epoll);
    free(all);
    free(run.starts);
    free(run.took_us);
    buf_done(&run.requests);
    buf_done(&run.bodies);
    return 0;
}
