/* A request is one body as it is, or the bodies of a batch in a list. */
#include "sink/transport/request.h"

#include "common/stripe/identifier.h"

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

static void make_body(struct request *r, const struct submission *first)
{
    const struct transport *transport = first->transport;
    if (!transport->opens) {
        buf_add_str(&r->body, first->body);
        return;
    }
    buf_add_str(&r->body, transport->opens);
    for (const struct submission *s = first; s; s = s->next) {
        buf_add_str(&r->body, s == first ? "" : ",");
        buf_add_str(&r->body, s->body);
    }
    buf_add_str(&r->body, transport->closes);
}

/* Of a batch: all its members have spent the keys of the calls that they were in. */
static void make_key(struct request *r, const struct submission *first)
{
    char batch[TRANSPORT_KEY_SIZE];
    int64_t spent = 0;
    if (first->transport->opens)
        transport_batch_key(r->body.data, r->body.length, batch);
    for (const struct submission *s = first; s; s = s->next)
        spent = s->spent_keys > spent ? s->spent_keys : spent;
    identifier_key(first->transport->opens ? batch : first->identifier, spent, &r->key);
}

void request_init(struct request *r, const struct submission_queue *batch,
                  const struct config *config, const char *authorization)
{
    *r = (struct request){.url = make_url(batch->first, config)};
    make_body(r, batch->first);
    make_key(r, batch->first);
    transport_headers(batch->first->transport, authorization, config->stripe_api_version,
                      r->key.data, r->headers);
}

void request_done(struct request *r)
{
    free(r->url);
    buf_done(&r->body);
    buf_done(&r->key);
}
