/* A request is one body as it is, or the bodies of a batch in a list. */
#include "sink/request.h"

#include <assert.h>
#include <stdlib.h>

static char *make_url(const struct submission *first, const struct config *config)
{
    const struct transport *transport = first->transport;
    struct buf path = {0};
    struct err e;
    int failed = transport_path(transport, first->subscription_item, &path, &e);
    assert(!failed);
    (void)failed;
    char *url =
        config_url(transport->by_token ? config_meter_events_base(config) : config->stripe_api_base,
                   path.data);
    buf_done(&path);
    return url;
}

/* Returns the Idempotency-Key. */
static const char *make_body(struct request *r, const struct submission *first)
{
    const struct transport *transport = first->transport;
    if (!transport->opens) {
        buf_add_str(&r->body, first->body);
        return first->identifier;
    }
    buf_add_str(&r->body, transport->opens);
    for (const struct submission *s = first; s; s = s->next) {
        buf_add_str(&r->body, s == first ? "" : ",");
        buf_add_str(&r->body, s->body);
    }
    buf_add_str(&r->body, transport->closes);
    transport_batch_key(r->body.data, r->body.length, r->batch_key);
    return r->batch_key;
}

void request_init(struct request *r, const struct submission_queue *batch,
                  const struct config *config, const char *authorization)
{
    *r = (struct request){.url = make_url(batch->first, config)};
    const char *key = make_body(r, batch->first);
    transport_headers(batch->first->transport, authorization, config->stripe_api_version, key,
                      r->headers);
}

void request_done(struct request *r)
{
    free(r->url);
    buf_done(&r->body);
}
