/* What the files of one request share: door.c (who may, and with what), request.c (parameters and
 * answers), change.c (transactions, the history, stored answers). Nobody else includes this. */
#ifndef METERLINE_API_REQUEST_INTERNAL_H
#define METERLINE_API_REQUEST_INTERNAL_H

#include "api/door/door.h"
#include "api/door/params.h"
#include "api/request.h"
#include "common/str.h"

enum { REQUEST_DIGEST_BYTES = 32, REQUEST_KEY_MAX = 255 };

struct api_internal {
    struct door *door;
    struct http_exchange *exchange; /* NULL: answered, or its client has left a stream */
    struct target target;
    json_t *input;            /* the body */
    struct api_value *values; /* in the order of the route's parameters */
    int64_t began_us;         /* monotonic */
    int status;               /* of the answer */
    struct err error;         /* what to tell in the log of a 5xx */

    /* What the headers said; they are gone once the client has left. */
    char *token;
    char *tenant_header;
    char *key_header;
    char *content_type;
    char *own_key; /* of a request without an Idempotency-Key */

    bool is_kept; /* it has a row in api_requests, … */
    char *id;     /* … of this request_id */
    int attempt;
    struct pg *pg; /* of an open change */
    const struct pg_statement *waiting;
    int waiting_n;
    struct pg_statement *copies;
    api_sql_fn done;
    void (*saved)(struct api_request *r);
    json_t *saving;
    const char *blamed;
    bool is_kept_open;
    bool is_told_once;

    bool is_noted;
    char *object_id;
    char *noted_tenant;
    json_t *before;
    json_t *after;

    struct buf answer; /* while it is being stored */
    char *header_names[6];
    char *header_values[6];
    int headers;
};

/* request.c: the answer goes out, and r is gone. */
void request_send(struct api_request *r, const char *text, size_t length);
void request_free(struct api_request *r);
bool request_is_change(const struct api_request *r);
void request_put_fault(struct api_request *r, const struct params_fault *f);

/* change.c: the answer is stored first, if it is to be. */
void change_begin_request(struct api_request *r, void (*go_on)(struct api_request *r));
void change_finish(struct api_request *r, const char *text, size_t length);
void change_abandon(struct api_request *r, const char *text, size_t length);

#endif
