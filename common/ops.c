/* The ops listener. Happy path: a scraper asks, the answer is made from memory and given at once.
 * Failure modes: none of its own; a client that goes away is the HTTP server's matter. */
#include "common/ops.h"

#include "common/http/http_server.h"
#include "common/metrics.h"

#include <stdlib.h>
#include <string.h>

enum { OPS_MAX_BODY_BYTES = 1024 };

/* The exposition format's own type, https://prometheus.io/docs/instrumenting/exposition_formats/ */
#define OPS_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

struct ops {
    struct http_server *server;
    struct ops_source source;
};

static int answer_ready(const struct ops_source *source, struct buf *body)
{
    struct buf why = {0};
    bool ready = source->ready(source->owner, &why);
    if (ready || why.length == 0)
        buf_add_str(body, ready ? "ready\n" : "not ready\n");
    if (why.length > 0)
        buf_add(body, why.data, why.length);
    if (body->data[body->length - 1] != '\n')
        buf_add_char(body, '\n');
    buf_done(&why);
    return ready ? 200 : 503;
}

int ops_answer(const struct ops_source *source, const char *method, const char *path,
               struct buf *body)
{
    bool known = !strcmp(path, "/metrics") || !strcmp(path, "/healthz") || !strcmp(path, "/readyz");
    if (!known) {
        buf_add_str(body, "not found\n");
        return 404;
    }
    if (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0) {
        buf_add_str(body, "method not allowed\n");
        return 405;
    }
    if (!strcmp(path, "/metrics")) {
        if (source->scrape)
            source->scrape(source->owner);
        metrics_print(body);
        return 200;
    }
    if (!strcmp(path, "/readyz"))
        return answer_ready(source, body);
    /* Answering at all proves that the loop turns, which is all that "alive" means. */
    buf_add_str(body, "ok\n");
    return 200;
}

static void on_request(void *owner, struct http_exchange *x)
{
    struct ops *o = owner;
    struct buf body = {0};
    int status = ops_answer(&o->source, x->method, x->path, &body);
    if (status == 405)
        http_reply_header(x, "Allow", "GET, HEAD");
    http_reply(x, status, OPS_CONTENT_TYPE, body.data, body.length);
    buf_done(&body);
}

struct ops *ops_open(uv_loop_t *loop, const char *listen, struct ops_source source, struct err *e)
{
    struct ops *o = xcalloc(1, sizeof *o);
    o->source = source;
    o->server = http_server_open(loop, "ops", listen, OPS_MAX_BODY_BYTES, on_request, o, e);
    if (!o->server) {
        free(o);
        return NULL;
    }
    return o;
}

void ops_close(struct ops *o)
{
    http_server_close(o->server, free, o);
}
