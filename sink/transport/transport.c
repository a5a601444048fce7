#include "sink/transport/transport.h"

#include <sodium.h>
#include <string.h>

enum { HASH_BYTES = 32 };

#define ITEM_MARK  "{}"
#define ITEM_BYTES "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"

const struct transport *const TRANSPORTS[TRANSPORT_COUNT + 1] = {
    &TRANSPORT_METER_EVENTS, &TRANSPORT_METER_EVENT_STREAM, &TRANSPORT_USAGE_RECORDS, NULL};

int transport_index(const char *name)
{
    for (int i = 0; TRANSPORTS[i]; i++)
        if (!strcmp(TRANSPORTS[i]->name, name))
            return i;
    return -1;
}

const struct transport *transport_find(const char *name)
{
    int index = transport_index(name);
    return index < 0 ? NULL : TRANSPORTS[index];
}

int transport_cost(const struct transport *t)
{
    return TRANSPORT_CALL_COST / t->batch_max;
}

int transport_path(const struct transport *t, const char *subscription_item, struct buf *out,
                   struct err *e)
{
    const char *mark = strstr(t->path, ITEM_MARK);
    if (!mark) {
        buf_add_str(out, t->path);
        return 0;
    }
    size_t length = subscription_item ? strlen(subscription_item) : 0;
    if (length == 0)
        return err_set(e, ERR_INPUT, "the submission has no subscription item");
    if (strspn(subscription_item, ITEM_BYTES) != length)
        return err_set(e, ERR_INPUT,
                       "the submission's subscription item is not one of Stripe's ids");
    buf_add(out, t->path, (size_t)(mark - t->path));
    buf_add(out, subscription_item, length);
    buf_add_str(out, mark + strlen(ITEM_MARK));
    return 0;
}

void transport_batch_key(const char *request, size_t length, char out[TRANSPORT_KEY_SIZE])
{
    unsigned char hash[HASH_BYTES];
    crypto_generichash(hash, sizeof hash, (const unsigned char *)request, length, NULL, 0);
    memcpy(out, "ml-", 3);
    sodium_bin2hex(out + 3, TRANSPORT_KEY_SIZE - 3, hash, sizeof hash);
}

void transport_headers(const struct transport *t, const char *authorization, const char *version,
                       const char *key, struct http_header out[TRANSPORT_HEADERS])
{
    const struct http_header headers[TRANSPORT_HEADERS] = {
        {"Authorization", authorization},
        {"Stripe-Version", t->version ? t->version : version},
        {"Idempotency-Key", key},
        {"Content-Type", t->content_type},
        {NULL, NULL},
    };
    memcpy(out, headers, sizeof headers);
}
