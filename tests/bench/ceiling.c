/* ceiling PORT IN_FLIGHT SECONDS EVENTS_PER_CALL: calls that the stand-in for Stripe answers a
 * bare client, which does nothing but write a request and read its answer: one connection, kept
 * alive, for each call in flight. With one event a call they are meter events, else the stream's.
 * Prints `<calls> <seconds>`. */
#include "common/str.h"
#include "tests/bench/wire.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { ANSWER_MAX_BYTES = 4096, IN_FLIGHT_MAX = 1024 };

static uint16_t port;
static int events_per_call;
static double until;
static atomic_uint calls;

static double seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void add_form(struct buf *body, unsigned number)
{
    buf_printf(body,
               "event_name=api_calls&payload[stripe_customer_id]=cus_%08u&payload[value]=12345"
               "&identifier=ml-%064u&timestamp=%lld",
               number, number, (long long)time(NULL));
}

static void add_event(struct buf *body, unsigned number)
{
    buf_printf(body,
               "{\"event_name\":\"api_calls\",\"identifier\":\"ml-%064u\",\"payload\":"
               "{\"stripe_customer_id\":\"cus_%08u\",\"value\":\"12345\"},"
               "\"timestamp\":\"2026-11-21T06:41:00.000Z\"}",
               number, number);
}

static void make_body(struct buf *body, unsigned call)
{
    if (events_per_call == 1) {
        add_form(body, call);
        return;
    }
    buf_add_str(body, "{\"events\":[");
    for (int i = 0; i < events_per_call; i++) {
        buf_add_str(body, i ? "," : "");
        add_event(body, call * (unsigned)events_per_call + (unsigned)i);
    }
    buf_add_str(body, "]}");
}

static void make_request(struct buf *request, unsigned call)
{
    struct buf body = {0};

    make_body(&body, call);
    buf_printf(request,
               "POST %s HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer sk_test_bench\r\n"
               "Stripe-Version: 2026-10-28.endive\r\nIdempotency-Key: ml-%064u\r\n"
               "Content-Type: %s\r\nContent-Length: %zu\r\n\r\n%s",
               events_per_call == 1 ? "/v1/billing/meter_events" : "/v2/billing/meter_event_stream",
               call,
               events_per_call == 1 ? "application/x-www-form-urlencoded" : "application/json",
               body.length, body.data);
    buf_done(&body);
}

static void write_all(int fd, const struct buf *request)
{
    for (size_t sent = 0; sent < request->length;) {
        ssize_t n = write(fd, request->data + sent, request->length - sent);

        if (n <= 0)
            fail("the stand-in closed the connection");
        sent += (size_t)n;
    }
}

/* How long the answer is, once its head is there; else 0. */
static size_t answer_length(const char *answer)
{
    const char *end = strstr(answer, "\r\n\r\n");
    const char *length = strcasestr(answer, "\r\nContent-Length:");

    if (!end)
        return 0;
    if (strncmp(answer, "HTTP/1.1 200 ", 13) != 0 || !length || length > end)
        fail("the stand-in did not take a call");
    return (size_t)(end + 4 - answer) + strtoull(length + 17, NULL, 10);
}

static void read_answer(int fd)
{
    char answer[ANSWER_MAX_BYTES + 1];
    size_t got = 0;
    size_t wanted = 0;

    while (wanted == 0 || got < wanted) {
        ssize_t n = read(fd, answer + got, ANSWER_MAX_BYTES - got);

        if (n <= 0)
            fail("the stand-in closed the connection");
        got += (size_t)n;
        answer[got] = '\0';
        wanted = answer_length(answer);
    }
}

static int open_connection(void)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&to, sizeof to) != 0)
        fail("cannot connect to the stand-in");
    return fd;
}

static void *call_on(void *owner)
{
    struct buf request = {0};
    int fd = open_connection();

    while (seconds() < until) {
        buf_clear(&request);
        make_request(&request, atomic_fetch_add(&calls, 1));
        write_all(fd, &request);
        read_answer(fd);
    }
    buf_done(&request);
    close(fd);
    return owner;
}

int main(int argc, char **argv)
{
    pthread_t threads[IN_FLIGHT_MAX];
    int in_flight = argc == 5 ? atoi(argv[2]) : 0;
    double began = seconds();

    if (in_flight < 1 || in_flight > IN_FLIGHT_MAX)
        fail("usage: ceiling PORT IN_FLIGHT SECONDS EVENTS_PER_CALL");
    port = (uint16_t)atoi(argv[1]);
    until = began + strtod(argv[3], NULL);
    events_per_call = atoi(argv[4]);
    for (int i = 0; i < in_flight; i++)
        if (pthread_create(&threads[i], NULL, call_on, NULL) != 0)
            fail("cannot start a thread");
    for (int i = 0; i < in_flight; i++)
        pthread_join(threads[i], NULL);
    printf("%u %.6f\n", atomic_load(&calls), seconds() - began);
    return 0;
}
