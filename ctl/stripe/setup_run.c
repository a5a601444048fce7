#include "ctl/stripe/setup_run.h"

#include "common/closing.h"
#include "common/stripe/stripe_api.h"
#include "common/stripe/stripe_calls.h"
#include "common/stripe/stripe_form.h"
#include "ctl/stripe/setup_post.h"
#include "ctl/stripe/setup_secret.h"
#include "ctl/submissions/stripe_run.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { ROUNDS = 3, IDS_A_CALL = 50, KEYS_A_CALL = 10, PATIENCE_MS = 60000 };

struct run {
    const struct setup_ask *ask;
    uv_loop_t loop;
    struct stripe_access access;
    struct stripe_api *api;
    struct stripe_calls *calls;
    json_t *queries; /* [[kind, query], …] */
    size_t at;       /* the query, or the step, that is under way */
    int round;
    json_t *present;  /* what was read in this round */
    json_t *steps;    /* what is to do in this round */
    json_t *ids;      /* {"price": {"standard": "price_1"}, …} */
    json_t *done;     /* steps that were carried out, of all rounds */
    struct err error; /* ERR_NONE: it went well */
    struct closing closing;
};

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

static bool is(const json_t *object, const char *key, const char *text)
{
    return strcmp(text_of(object, key), text) == 0;
}

/* The end. */

static void release(void *self)
{
    (void)self;
}

static void end_run(struct run *r, const struct err *error)
{
    if (error)
        r->error = *error;
    closing_begin(&r->closing, r, release, NULL, NULL);
    stripe_api_close(r->api, closing_part_closed, closing_part(&r->closing));
    stripe_calls_close(r->calls, closing_part_closed, closing_part(&r->closing));
    closing_end(&r->closing);
}

/* Reading. */

static void add_query(struct run *r, const char *kind, struct stripe_form *form)
{
    json_array_append_new(r->queries, json_pack("[s, s]", kind, stripe_form_body(form)));
    stripe_form_done(form);
}

static bool has_kind(const struct run *r, const char *kind)
{
    size_t i;
    const json_t *object;
    json_array_foreach(r->ask->objects, i, object)
    {
        if (is(object, "kind", kind))
            return true;
    }
    return false;
}

/* By name, so that others of the account cost nothing. key: a format of the parameter. */
static void query_names(struct run *r, const char *kind, const char *parameter, int most)
{
    struct stripe_form form = {0};
    int n = 0;
    size_t i;
    const json_t *object;
    json_array_foreach(r->ask->objects, i, object)
    {
        if (!is(object, "kind", kind))
            continue;
        stripe_form_text(&form, text_of(object, "name"), "%s[%d]", parameter, n);
        if (++n < most)
            continue;
        add_query(r, kind, &form);
        form = (struct stripe_form){0};
        n = 0;
    }
    if (n > 0)
        add_query(r, kind, &form);
}

static void make_queries(struct run *r)
{
    struct stripe_form none = {0};
    struct stripe_form active = {0};
    stripe_form_bool(&active, true, "active");
    query_names(r, "product", "ids", IDS_A_CALL);
    query_names(r, "price", "lookup_keys", KEYS_A_CALL);
    if (has_kind(r, "meter"))
        add_query(r, "meter", &none);
    if (has_kind(r, "tax_rate"))
        add_query(r, "tax_rate", &none);
    if (has_kind(r, "webhook_endpoint"))
        add_query(r, "webhook_endpoint", &none);
    add_query(r, "portal", &active);
}

static void read_next(struct run *r);
static void plan(struct run *r);

static const char *kind_of_query(const struct run *r)
{
    return json_string_value(json_array_get(json_array_get(r->queries, r->at), 0));
}

static void on_item(void *owner, json_t *item)
{
    struct run *r = owner;
    json_array_append(json_object_get(r->present, kind_of_query(r)), item);
}

static void on_listed(void *owner, const struct err *error)
{
    struct run *r = owner;
    if (error) {
        const char *words = stripe_api_words(r->api);
        struct err e = *error;
        if (words)
            ctl_fail(0, "%s", words);
        err_wrap(&e, "list of %s", setup_kind_of(kind_of_query(r))->path);
        end_run(r, &e);
        return;
    }
    r->at++;
    read_next(r);
}

static void read_next(struct run *r)
{
    if (r->at == json_array_size(r->queries)) {
        plan(r);
        return;
    }
    const char *kind = kind_of_query(r);
    const char *query = json_string_value(json_array_get(json_array_get(r->queries, r->at), 1));
    bool has_tiers = strcmp(kind, "price") == 0;
    char *whole = xasprintf("%s%s", query, has_tiers ? "&expand[0]=data.tiers" : "");
    stripe_api_list(r->api, setup_kind_of(kind)->path, whole, NULL, on_item, on_listed, r);
    free(whole);
}

static void read_all(struct run *r)
{
    json_decref(r->present);
    r->present = json_object();
    for (int i = 0; i < SETUP_N_KINDS; i++)
        json_object_set_new(r->present, SETUP_KINDS[i].name, json_array());
    r->at = 0;
    read_next(r);
}

/* Planning. */

static void note_id(struct run *r, const json_t *step)
{
    const char *kind = text_of(step, "kind");
    json_t *ids = json_object_get(r->ids, kind);
    if (!json_object_get(step, "id"))
        return;
    if (!ids) {
        ids = json_object();
        json_object_set_new(r->ids, kind, ids);
    }
    json_object_set(ids, text_of(step, "name"), json_object_get(step, "id"));
}

static bool is_to_do(const json_t *step)
{
    return !is(step, "action", "keep") && !is(step, "action", "warn");
}

static size_t count_to_do(const json_t *steps)
{
    size_t i;
    size_t n = 0;
    const json_t *step;
    json_array_foreach(steps, i, step)
    {
        n += is_to_do(step);
    }
    return n;
}

static void write_next(struct run *r);

static void plan(struct run *r)
{
    size_t i;
    const json_t *step;
    struct err e;
    const char *file = r->ask->secret_file;
    struct setup_terms terms = {r->ask->adopt, file ? setup_secret_of(file) : SECRET_NONE};
    json_decref(r->steps);
    r->steps = setup_plan(r->ask->objects, r->present, terms);
    json_array_foreach(r->steps, i, step)
    {
        note_id(r, step);
    }
    if (r->ask->only_plan || count_to_do(r->steps) == 0) {
        end_run(r, NULL);
    } else if (++r->round > ROUNDS) {
        err_set(&e, ERR_REFUSED,
                "Stripe still shows a difference after %d tries: look with --dry-run", ROUNDS);
        end_run(r, &e);
    } else {
        r->at = 0;
        write_next(r);
    }
}

/* Writing. */

static bool is_endpoint(const json_t *step)
{
    return is(step, "kind", "webhook_endpoint") && !is(step, "action", "change");
}

static void fail_step(struct run *r, const json_t *step, const struct stripe_reply *reply)
{
    struct err e = *reply->error;
    if (reply->message)
        ctl_fail(0, "%s", reply->message);
    err_wrap(&e, "%s %s %s", text_of(step, "action"), text_of(step, "kind"), text_of(step, "name"));
    end_run(r, &e);
}

/* Somebody made it since it was looked for: the next round reads it. */
static bool is_taken(const struct stripe_reply *reply)
{
    return reply->outcome == STRIPE_REFUSED && reply->code &&
           strcmp(reply->code, "resource_already_exists") == 0;
}

static void on_reply(void *owner, const struct stripe_reply *reply)
{
    struct run *r = owner;
    struct err e;
    json_t *step = json_array_get(r->steps, r->at);
    const char *id = text_of(reply->object, "id");
    if (is_taken(reply)) {
        read_all(r);
        return;
    }
    if (reply->outcome != STRIPE_DONE) {
        fail_step(r, step, reply);
        return;
    }
    if (is_endpoint(step) && r->ask->secret_file &&
        setup_secret_end(r->ask->secret_file, text_of(reply->object, "secret"), &e)) {
        end_run(r, &e);
        return;
    }
    if (is(step, "action", "replace"))
        json_object_set(step, "replaced", json_object_get(step, "id"));
    json_object_set_new(step, "id", json_string(id));
    note_id(r, step);
    json_array_append(r->done, step);
    r->ask->on_done(r->ask->owner, step);
    r->at++;
    write_next(r);
}

static char *path_of(const json_t *step)
{
    const char *path = setup_kind_of(text_of(step, "kind"))->path;
    if (!is(step, "action", "change"))
        return xstrdup(path);
    return xasprintf("%s/%s%s", path, text_of(step, "id"), text_of(step, "sub_path"));
}

static void write_step(struct run *r, const json_t *step)
{
    struct err e;
    char salt[SETUP_SALT_SIZE] = "";
    char key[SETUP_KEY_SIZE];
    if (is_endpoint(step) && r->ask->secret_file &&
        setup_secret_begin(r->ask->secret_file, salt, &e)) {
        end_run(r, &e);
        return;
    }
    char *path = path_of(step);
    char *body = setup_post_body(step, r->ids);
    const char *version = json_string_value(json_object_get(step, "version"));
    setup_post_key(step, r->round, body, salt, key);
    const struct stripe_request request = {.method = "POST",
                                           .path = path,
                                           .form = body,
                                           .idempotency_key = key,
                                           .version = version,
                                           .patience_ms = PATIENCE_MS};
    stripe_calls_send(r->calls, &request, on_reply, r);
    free(body);
    free(path);
}

static void write_next(struct run *r)
{
    size_t n = json_array_size(r->steps);
    while (r->at < n && !is_to_do(json_array_get(r->steps, r->at)))
        r->at++;
    if (r->at < n)
        write_step(r, json_array_get(r->steps, r->at));
    else
        read_all(r);
}

/* Steps of the last round, which has nothing left to do, in the place of those that were done. */
static json_t *take_result(struct run *r)
{
    size_t i;
    size_t k;
    json_t *step;
    const json_t *done;
    json_t *result = json_array();
    json_array_foreach(r->steps, i, step)
    {
        const json_t *shown = step;
        json_array_foreach(r->done, k, done)
        {
            if (json_equal(json_object_get(done, "kind"), json_object_get(step, "kind")) &&
                json_equal(json_object_get(done, "name"), json_object_get(step, "name")))
                shown = done;
        }
        json_array_append(result, (json_t *)shown);
    }
    return result;
}

json_t *setup_run(const struct ctl_config *config, const struct setup_ask *ask, struct err *e)
{
    struct run r = {.ask = ask,
                    .access = stripe_run_access(config, config->reconcile_rate_per_s),
                    .queries = json_array(),
                    .ids = json_object(),
                    .done = json_array()};
    uv_loop_init(&r.loop);
    r.api = stripe_api_open(&r.loop, &r.access);
    r.calls = stripe_calls_open(&r.loop, &r.access, 1);
    make_queries(&r);
    read_all(&r);
    uv_run(&r.loop, UV_RUN_DEFAULT);
    int open = uv_loop_close(&r.loop);
    assert(open == 0);
    bool failed = r.error.kind != ERR_NONE;
    json_t *result = failed ? NULL : take_result(&r);
    if (failed)
        *e = r.error;
    json_decref(r.queries);
    json_decref(r.present);
    json_decref(r.steps);
    json_decref(r.ids);
    json_decref(r.done);
    return result;
}
