/* The idempotency key of a POST to Stripe, and what it is made of. Pure.
 *
 * The key follows from the tenant, the operation, the caller's request and what is sent: a request
 * that is repeated makes the same call with the same key, and Stripe answers as before. Bytes that
 * differ, since something has changed meanwhile, have another key, because Stripe refuses other
 * bytes under one that it knows. */
#ifndef METERLINE_API_OPERATION_H
#define METERLINE_API_OPERATION_H

enum { OPERATION_KEY_SIZE = 36, OPERATION_DIGEST_SIZE = 33 };

struct operation {
    const char *tenant;
    const char *name; /* such as create_customer */
    const char *request_digest;
    const char *path;
    const char *body;
    int attempt; /* how many of its keys were spent on failures that Stripe gives again */
};

void operation_key(const struct operation *o, char out[OPERATION_KEY_SIZE]);

/* Of the caller's request (api_request's id): the same for each repetition of it. */
void operation_request_digest(const char *tenant, const char *route, const char *request_id,
                              char out[OPERATION_DIGEST_SIZE]);

/* Of texts whose borders count. */
void operation_digest(const char *const *texts, int n, char out[OPERATION_DIGEST_SIZE]);

/* What a POST makes carries its key here, so that it can be found. */
#define OPERATION_METADATA "meterline_operation"

#endif
