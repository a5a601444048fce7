/* fill HOST PORT STREAM EVENTS TENANTS MINUTES REPEATS_PERCENT: fills a stream with events like
 * those of many services, spread evenly over the last MINUTES, pipelined. A repeat is an event of
 * the last 65,536 once more, as after a lost answer. Prints what the ledger must come to, worked
 * out from the events alone: `events <different events>`, then `<tenant> <metric> <quantity>` for
 * each that has any. The same random numbers in every run. */
#include <hiredis/hiredis.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { PIPELINE = 2000, RECENT = 65536, METRICS = 5, ID_SIZE = 48 };

/* The catalog's metrics, how often each comes of 100 events, and its largest quantity in
 * thousandths. */
static const struct {
    const char *name;
    unsigned share;
    uint64_t quantity_max;
    uint64_t step; /* 1000: whole numbers only */
    int is_level;  /* the latest value counts, else the sum */
} METRIC[METRICS] = {
    {"api_calls", 45, 1000, 1000, 0},        {"llm_tokens", 30, 4000000, 1000, 0},
    {"agent_executions", 15, 3000, 1000, 0}, {"storage_gb", 6, 400000, 1, 1},
    {"user_seats", 4, 50000, 1000, 1},
};

struct event {
    char id[ID_SIZE];
    int64_t ts_ms;
    uint64_t thousandths;
    uint32_t tenant;
    uint32_t metric;
};

struct fill {
    redisContext *redis;
    const char *stream;
    uint64_t events;
    uint64_t different;
    uint32_t tenants;
    int64_t first_ms;
    int64_t span_ms;
    unsigned repeats_percent;
    uint64_t random;
    uint64_t unread;
    struct event *recent; /* RECENT of them, the n-th different event at n mod RECENT */
    uint64_t *expected;   /* thousandths, tenants x METRICS */
};

static void fail(const char *what)
{
    fprintf(stderr, "fill: %s\n", what);
    exit(1);
}

/* splitmix64, public domain: https://prng.di.unimi.it/splitmix64.c */
static uint64_t next_random(struct fill *f)
{
    uint64_t z = f->random += 0x9e3779b97f4a7c15U;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9U;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebU;
    return z ^ (z >> 31);
}

static uint32_t choose_metric(struct fill *f)
{
    unsigned ticket = (unsigned)(next_random(f) % 100);
    uint32_t metric = 0;

    while (ticket >= METRIC[metric].share)
        ticket -= METRIC[metric++].share;
    return metric;
}

/* RFC 9562, version 7. */
static void put_uuid_v7(struct fill *f, int64_t ms, char id[ID_SIZE])
{
    uint64_t a = next_random(f);
    uint64_t b = next_random(f);

    snprintf(id, ID_SIZE, "%08" PRIx64 "-%04" PRIx64 "-7%03" PRIx64 "-%04" PRIx64 "-%012" PRIx64,
             (uint64_t)ms >> 16, (uint64_t)ms & 0xffff, a & 0xfff, 0x8000 | (b >> 50),
             b & 0xffffffffffff);
}

static const struct event *make_event(struct fill *f, uint64_t number)
{
    struct event *e = &f->recent[f->different % RECENT];
    uint64_t *expected;

    e->tenant = (uint32_t)(next_random(f) % f->tenants);
    e->metric = choose_metric(f);
    e->thousandths =
        METRIC[e->metric].step *
        (1 + next_random(f) % (METRIC[e->metric].quantity_max / METRIC[e->metric].step));
    e->ts_ms = f->first_ms + f->span_ms * (int64_t)number / (int64_t)f->events;
    put_uuid_v7(f, e->ts_ms, e->id);
    expected = &f->expected[(size_t)e->tenant * METRICS + e->metric];
    *expected = METRIC[e->metric].is_level ? e->thousandths : *expected + e->thousandths;
    f->different++;
    return e;
}

static const struct event *choose_event(struct fill *f, uint64_t number)
{
    uint64_t known = f->different < RECENT ? f->different : RECENT;

    if (known > 0 && next_random(f) % 100 < f->repeats_percent)
        return &f->recent[next_random(f) % known];
    return make_event(f, number);
}

static void format_quantity(uint64_t thousandths, char out[32])
{
    if (thousandths % 1000 == 0)
        snprintf(out, 32, "%" PRIu64, thousandths / 1000);
    else
        snprintf(out, 32, "%" PRIu64 ".%03" PRIu64, thousandths / 1000, thousandths % 1000);
}

static void take_replies(struct fill *f)
{
    for (; f->unread > 0; f->unread--) {
        redisReply *reply;

        if (redisGetReply(f->redis, (void **)&reply) != REDIS_OK)
            fail(f->redis->errstr);
        if (reply->type != REDIS_REPLY_STRING)
            fail(reply->str);
        freeReplyObject(reply);
    }
}

static void send_event(struct fill *f, const struct event *e)
{
    char tenant[32];
    char quantity[32];
    char ts[32];
    const char *words[] = {"XADD",     f->stream, "*",
                           "id",       e->id,     "tenant",
                           tenant,     "metric",  METRIC[e->metric].name,
                           "quantity", quantity,  "ts",
                           ts};

    snprintf(tenant, sizeof tenant, "tenant-%06" PRIu32, e->tenant);
    format_quantity(e->thousandths, quantity);
    snprintf(ts, sizeof ts, "%" PRId64, e->ts_ms);
    if (redisAppendCommandArgv(f->redis, sizeof words / sizeof *words, words, NULL) != REDIS_OK)
        fail(f->redis->errstr);
    if (++f->unread == PIPELINE)
        take_replies(f);
}

static void print_expected(const struct fill *f)
{
    char quantity[32];

    printf("events %" PRIu64 "\n", f->different);
    for (uint32_t tenant = 0; tenant < f->tenants; tenant++)
        for (uint32_t metric = 0; metric < METRICS; metric++) {
            uint64_t expected = f->expected[(size_t)tenant * METRICS + metric];

            format_quantity(expected, quantity);
            if (expected > 0)
                printf("tenant-%06" PRIu32 " %s %s\n", tenant, METRIC[metric].name, quantity);
        }
}

int main(int argc, char **argv)
{
    struct fill f = {.random = 20};

    if (argc != 8)
        fail("usage: fill HOST PORT STREAM EVENTS TENANTS MINUTES REPEATS_PERCENT");
    f.redis = redisConnect(argv[1], atoi(argv[2]));
    f.stream = argv[3];
    f.events = strtoull(argv[4], NULL, 10);
    f.tenants = (uint32_t)strtoul(argv[5], NULL, 10);
    f.span_ms = strtoll(argv[6], NULL, 10) * 60000;
    f.first_ms = (int64_t)time(NULL) * 1000 - f.span_ms;
    f.repeats_percent = (unsigned)strtoul(argv[7], NULL, 10);
    f.recent = calloc(RECENT, sizeof *f.recent);
    f.expected = calloc((size_t)f.tenants * METRICS, sizeof *f.expected);
    if (f.redis == NULL || f.redis->err || f.recent == NULL || f.expected == NULL)
        fail("cannot start");
    for (uint64_t i = 0; i < f.events; i++)
        send_event(&f, choose_event(&f, i));
    take_replies(&f);
    print_expected(&f);
    redisFree(f.redis);
    free(f.recent);
    free(f.expected);
    return 0;
}
