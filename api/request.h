/* One request, as a handler sees it: parameters that are checked, the tenant, who asks; and how it
 * is answered. A handler begins what it has to do and returns; it, or one of its callbacks, calls
 * one of the api_answer or api_fail functions once, and r is gone. It need not care whether the
 * client is still there, and r lives until then.
 *
 * Changes. A POST, PUT or DELETE that answers 2xx leaves a row in billing_history, of the route's
 * kind and with the key's name, in the transaction that api_change began, or else in one of its
 * own. Under an Idempotency-Key the answer is stored in that same transaction: a repetition gets it
 * again and the handler is not called. If the process dies before, the next repetition calls the
 * handler again, with what it saved by api_save_progress. */
#ifndef METERLINE_API_REQUEST_H
#define METERLINE_API_REQUEST_H

#include "api/context.h"
#include "api/route.h"
#include "common/http/http_server.h"

#include <jansson.h>

enum { API_KEY_NAME_SIZE = 80, API_DEADLINE_MS = 10000 };

/* Who asks. */
struct api_caller {
    char key_id[40];
    char name[API_KEY_NAME_SIZE]; /* of the key; of a portal token: of the key that made it */
    enum api_role role;
    bool is_portal; /* a portal token */
    char *tenant;   /* that it is bound to, or NULL; owned by the request */
};

struct api_value {
    bool given;       /* or has a fallback */
    bool is_null;     /* in the body: null */
    const char *text; /* TEXT, NAME, DECIMAL, TIME, CHOICE: as it came */
    int64_t whole;    /* WHOLE, BOOL */
    json_t *json;     /* in the body: any type; borrowed */
};

struct api_request {
    const struct context *context;
    const struct api_route *route;
    const char *tenant; /* NULL: of a route for all tenants */
    struct api_caller caller;
    const char *body; /* raw; of API_IS_RAW */
    size_t body_length;
    const char *content_type;    /* without its parameters; "" */
    const char *idempotency_key; /* of the caller; or one that nobody else has */
    const char *id; /* the same for each try of this request: what is done once is named by it. The
                     * caller's key is not enough, since it may be used again after a day */
    json_t *progress;             /* what an earlier try saved; NULL: this is the first one */
    void *state;                  /* the handler's own, … */
    void (*release)(void *state); /* … and what frees it once r is gone; NULL: nothing */
    struct api_internal *internal;
};

/* Parameters by name; the route's table must have it (asserted). */
bool api_given(const struct api_request *r, const char *name);
const char *api_text(const struct api_request *r, const char *name); /* NULL: not given, or null */
int64_t api_whole(const struct api_request *r, const char *name);    /* 0 where it is not given */
bool api_flag(const struct api_request *r, const char *name);
json_t *api_json(const struct api_request *r, const char *name); /* borrowed; NULL: not given */

/* Answers. The status is 200 unless api_status was called. */
void api_status(struct api_request *r, int status);
void api_header(struct api_request *r, const char *name, const char *value);
void api_answer(struct api_request *r, json_t *body); /* takes body */
void api_answer_text(struct api_request *r, const char *json, size_t length);
/* {"error": {code, message, param}}. param: NULL where no parameter is at fault. */
void api_fail(struct api_request *r, int status, const char *code, const char *param,
              const char *format, ...) __attribute__((format(printf, 5, 6)));
/* Of PostgreSQL or Redis: 503 with Retry-After, or 400 where the data are at fault. Logged. */
void api_fail_err(struct api_request *r, const struct err *error);
/* Nothing is to be seen of it: 404. */
void api_fail_missing(struct api_request *r, const char *param);

/* If PostgreSQL finds the data at fault, which no check of ours can tell before: this parameter is
 * named. Static. */
void api_blame(struct api_request *r, const char *param);

/* Reading. done is called only if all went well; else it is answered by api_fail_err. results are
 * borrowed until done returns. */
typedef void (*api_sql_fn)(struct api_request *r, PGresult **results, int n);
void api_sql(struct api_request *r, const struct pg_statement *statements, int n, api_sql_fn done);
/* Answers with the one row of the statement, whose first column is the JSON text; without a row:
 * 404. */
void api_answer_row(struct api_request *r, const struct pg_statement *statement);
/* Answers with the statement's rows, each a JSON text: {"data": […], "has_more": …}. It must ask
 * for one row more than api_list_limit, of which none is shown. */
void api_answer_list(struct api_request *r, const struct pg_statement *statement);
int64_t api_list_limit(const struct api_request *r);

/* Changing: the statements are run in a transaction that is committed by api_answer, together with
 * the history and the stored answer, and rolled back by api_fail. May be called again in done, for
 * more in the same transaction. */
void api_change(struct api_request *r, const struct pg_statement *statements, int n,
                api_sql_fn done);
/* What the history tells of this change: takes before and after, either of which may be NULL.
 * object_id: copied; may be NULL. Without it the row has the kind and the key's name alone. */
void api_note(struct api_request *r, const char *object_id, json_t *before, json_t *after);
/* Another tenant than r->tenant, on routes for all. Copied. */
void api_note_tenant(struct api_request *r, const char *tenant);
/* What the next try needs to go on from here. Takes progress. Not while a change is open. Without
 * an Idempotency-Key (and API_IS_RESUMED) only r->progress changes. */
void api_save_progress(struct api_request *r, json_t *progress,
                       void (*done)(struct api_request *r));

/* The answer is not kept: a repetition under the same Idempotency-Key calls the handler again. What
 * was noted is in the history all the same, of each try. */
void api_keep_open(struct api_request *r);
/* The answer has a secret, which is told once and stored nowhere: a repetition is 409 with the
 * route's `lost`. */
void api_tell_once(struct api_request *r);
/* The caller gave one. */
bool api_has_idempotency_key(const struct api_request *r);

/* An answer in pieces (API_IS_STREAM); pieces as in http_server.h. Returns 0, or -1: the client has
 * left. r lives on until one of the last two is called: api_stream_gone where the client has left,
 * at any time after. */
int api_stream_begin(struct api_request *r, struct http_pieces pieces);
void api_stream_write(struct api_request *r, const char *data, size_t length);
void api_stream_end(struct api_request *r, bool is_whole);
void api_stream_gone(struct api_request *r);

#endif
