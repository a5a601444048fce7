#include "tests/bench/wire.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ENTRY_BYTES_MAX = 1024 };

void fail(const char *what)
{
    fprintf(stderr, "bench: %s\n", what);
    exit(1);
}

void wire_open(struct wire *w, const char *host, const char *port, const char *stream)
{
    int done = 0;

    w->redis = redisConnect(host, atoi(port));
    w->stream = stream;
    w->used = 0;
    if (w->redis == NULL || w->redis->err)
        fail(w->redis ? w->redis->errstr : "no memory");
    redisAppendCommand(w->redis, "CLIENT REPLY OFF");
    while (!done)
        if (redisBufferWrite(w->redis, &done) != REDIS_OK)
            fail(w->redis->errstr);
}

static void put(struct wire *w, const char *bytes, size_t length)
{
    memcpy(w->buffer + w->used, bytes, length);
    w->used += length;
}

/* RESP's bulk string: https://redis.io/docs/latest/develop/reference/protocol-spec/ */
static void put_word(struct wire *w, const char *word)
{
    size_t length = strlen(word);
    char head[] = {'$', (char)('0' + length / 10), (char)('0' + length % 10), '\r', '\n'};

    assert(length < 100);
    if (length < 10) /* Redis takes no leading zero. */
        head[1] = '$';
    put(w, head + (length < 10), sizeof head - (length < 10));
    put(w, word, length);
    put(w, "\r\n", 2);
}

static const char *decimal_of(uint64_t thousandths, char text[32])
{
    if (thousandths % 1000 == 0)
        snprintf(text, 32, "%" PRIu64, thousandths / 1000);
    else
        snprintf(text, 32, "%" PRIu64 ".%03" PRIu64, thousandths / 1000, thousandths % 1000);
    return text;
}

void wire_add(struct wire *w, const char *tenant, const struct event *e)
{
    char quantity[32];
    char ts[32];
    const char *words[] = {"XADD",     w->stream, "*",
                           "id",       e->id,     "tenant",
                           tenant,     "metric",  metric_name(e->metric),
                           "quantity", quantity,  "ts",
                           ts};

    decimal_of(e->thousandths, quantity);
    snprintf(ts, sizeof ts, "%" PRId64, e->ts_ms);
    if (w->used > WIRE_BUFFER_BYTES - ENTRY_BYTES_MAX)
        wire_flush(w);
    put(w, "*13\r\n", 5);
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        put_word(w, words[i]);
}

void wire_flush(struct wire *w)
{
    for (size_t sent = 0; sent < w->used;) {
        ssize_t n = write(w->redis->fd, w->buffer + sent, w->used - sent);

        if (n < 0)
            fail("Redis closed the connection");
        sent += (size_t)n;
    }
    w->used = 0;
}

unsigned long long wire_finish(struct wire *w)
{
    redisReply *reply;
    unsigned long long added = 0;

    wire_flush(w);
    freeReplyObject(redisCommand(w->redis, "CLIENT REPLY ON"));
    reply = redisCommand(w->redis, "XINFO STREAM %s", w->stream);
    if (reply == NULL || reply->type != REDIS_REPLY_ARRAY)
        fail(reply && reply->str ? reply->str : w->redis->errstr);
    for (size_t i = 0; i + 1 < reply->elements; i += 2)
        if (strcmp(reply->element[i]->str, "entries-added") == 0)
            added = (unsigned long long)reply->element[i + 1]->integer;
    freeReplyObject(reply);
    redisFree(w->redis);
    return added;
}
