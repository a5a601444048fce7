/* The end of a job: webhookd gets its hints, the answer is what it has stored of them. */
#include "api/stripe/job.h"

#include "api/sql.h"
#include "common/clock.h"
#include "common/pg/pg_array.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HINT_WAIT_MS = 2000 };

static void answer(struct job *j, json_t *body)
{
    if (j->extra)
        json_object_update(body, j->extra);
    api_status(j->r, j->status);
    api_answer(j->r, body);
}

static void take_shown(struct api_request *r, PGresult **results, int n)
{
    struct job *j = job_of(r);
    json_error_t why;
    json_t *body = NULL;
    stripe_work_forget(j->work, j->owner);
    j->has_lock = false;
    if (n > 1 && PQntuples(results[1]) > 0)
        body = json_loads(PQgetvalue(results[1], 0, 0), 0, &why);
    if (!body) {
        body = j->view ? json_incref(j->view) : json_object();
        if (j->shown_sql)
            json_object_set_new(body, "pending", json_true());
    }
    answer(j, body);
}

static void run_show(struct job *j, bool is_worked)
{
    struct pg_statement s[2];
    bool shows = j->shown_sql && is_worked;
    pg_statement_init(&s[0], SQL_DROP_TENANT_LOCK);
    pg_add_text(&s[0], j->tenant);
    pg_add_text(&s[0], j->owner);
    if (shows) {
        pg_statement_init(&s[1], j->shown_sql);
        pg_add_text(&s[1], j->tenant);
        if (j->shown_id)
            pg_add_text(&s[1], j->shown_id);
    }
    api_change(j->r, s, shows ? 2 : 1, take_shown);
}

static void run_look(struct job *j);

static void take_look(struct api_request *r, PGresult **results, int n)
{
    struct job *j = job_of(r);
    (void)n;
    bool ended = !strcmp(PQgetvalue(results[0], 0, 0), "t");
    bool used = !strcmp(PQgetvalue(results[0], 0, 1), "t");
    if (ended)
        run_show(j, used);
    else if (clock_monotonic_ms() >= j->until_ms || stripe_work_is_closing(j->work))
        run_show(j, false);
    else
        job_pause(j, job_next_wait_ms(j), run_look);
}

static void run_look(struct job *j)
{
    struct pg_statement s;
    struct pg_array ids;
    pg_array_init(&ids, PG_TEXT);
    for (int i = 0; i < j->hints_n; i++)
        pg_array_add_text(&ids, j->hints[i].event_id);
    pg_statement_init(&s, SQL_READ_HINT);
    pg_add_array(&s, &ids);
    api_sql(j->r, &s, 1, take_look);
    pg_array_done(&ids);
}

static void take_put(struct api_request *r, PGresult **results, int n)
{
    struct job *j = job_of(r);
    (void)results, (void)n;
    j->until_ms = clock_monotonic_ms() + HINT_WAIT_MS;
    j->wait_ms = JOB_WAIT_FIRST_MS;
    run_look(j);
}

/* As Stripe's thin events are, which only name their object. */
void job_hint(struct job *j, const char *kind, const char *id)
{
    char uuid[UUID_TEXT_SIZE];
    int64_t now_ms = clock_unix_ms();
    assert(j->hints_n < JOB_HINTS_MAX);
    struct job_hint *h = &j->hints[j->hints_n++];
    uuid_v7(now_ms, uuid);
    (void)snprintf(h->event_id, sizeof h->event_id, "hint_%s", uuid);
    h->type = xasprintf("v1.%s.updated", kind);
    h->object = xstrdup(id);
    json_t *payload = json_pack(
        "{s:s, s:s, s:s, s:I, s:b, s:{s:s, s:s}}", "id", h->event_id, "object", "v2.core.event",
        "type", h->type, "created", (json_int_t)(now_ms / 1000), "livemode",
        j->r->context->config->stripe_live, "related_object", "id", id, "type", kind);
    h->payload = json_dumps(payload, JSON_COMPACT);
    json_decref(payload);
}

void job_finish(struct job *j, int status, const char *show, const char *id, json_t *view,
                json_t *extra)
{
    struct pg_statement s[JOB_HINTS_MAX];
    j->status = status;
    j->shown_sql = show;
    j->shown_id = id ? xstrdup(id) : NULL;
    j->view = view;
    j->extra = extra;
    for (int i = 0; i < j->hints_n; i++) {
        const struct job_hint *h = &j->hints[i];
        pg_statement_init(&s[i], SQL_PUT_HINT);
        pg_add_text(&s[i], h->event_id);
        pg_add_text(&s[i], h->type);
        pg_add_text(&s[i], h->object);
        pg_add_text(&s[i], j->customer);
        pg_add_text(&s[i], h->payload);
    }
    if (j->hints_n > 0)
        api_sql(j->r, s, j->hints_n, take_put);
    else
        run_show(j, true);
}

void job_answer(struct job *j, int status, json_t *body)
{
    job_finish(j, status, NULL, NULL, body, NULL);
}
