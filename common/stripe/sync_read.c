#include "common/pg/pg.h"
#include "common/sql.h"
#include "common/str.h"
#include "common/stripe/fetcher.h"
#include "common/stripe/sync_internal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
    DEADLINE_MS = 10000,
    RECENT_S = 62 * 86400 /* invoices: of the billing period before this one, and what it led to */
};

const struct sync_list SYNC_LISTS[SYNC_STEPS] = {
    {"prices", &PRICE_KIND, "?limit=100&expand[]=data.tiers", false},
    {"customers", &CUSTOMER_KIND, "?limit=100", false},
    {"subscriptions", &SUBSCRIPTION_KIND, "?limit=100&status=all", false},
    {"invoices", &INVOICE_KIND, "?limit=100", true},
    {"open_invoices", &INVOICE_KIND, "?limit=100&status=open", false},
    {"gone", NULL, NULL, false},
};

/* at_ms: when the object was asked for, Unix ms by our clock. */
static void observe(struct stripe_sync *s, const struct object_kind *kind, const json_t *object,
                    int64_t at_ms)
{
    struct err e;
    json_t *seen = observe_fetched(kind, object, at_ms + pg_clock_offset_ms(s->pg), &e);
    if (seen)
        json_array_append_new(s->batch, seen);
    else
        s->report.odd++;
}

static bool is_lost(struct stripe_sync *s)
{
    struct err e;
    if (pg_is_ready(s->pg) && !closing_has_begun(&s->closing))
        return false;
    err_set(&e, ERR_CLOSED, "the connection to PostgreSQL was lost");
    sync_end(s, &e);
    return true;
}

/* Asking for a page. */

static bool is_refused(const struct fetch_answer *answer, const char *what, struct err *e)
{
    if (answer->refusal == FETCH_NOT_REFUSED)
        return false;
    err_set(e, ERR_REFUSED, "Stripe does not let our key read %s (%d)", what, answer->status);
    return true;
}

static void complete_page(struct stripe_sync *s);

static void take_items(void *owner, const struct fetch_answer *answer)
{
    struct stripe_sync *s = owner;
    struct err e;
    json_t *list = json_object_get(json_array_get(s->page, s->cut), "items");
    if (is_lost(s))
        return;
    if (answer->error) {
        sync_try_again(s, complete_page, fetcher_wait_ms(s->fetcher, "v1/subscription_items"),
                       answer->error);
    } else if (is_refused(answer, "subscription items", &e)) {
        sync_end(s, &e);
    } else {
        json_array_extend(json_object_get(list, "data"), json_object_get(answer->object, "data"));
        json_object_set_new(
            list, "has_more",
            json_boolean(json_is_true(json_object_get(answer->object, "has_more"))));
        complete_page(s);
    }
}

/* Stripe lists the first ten items within a subscription. */
static void complete_page(struct stripe_sync *s)
{
    for (; s->cut < json_array_size(s->page); s->cut++) {
        const json_t *object = json_array_get(s->page, s->cut);
        const json_t *list = json_object_get(object, "items");
        const json_t *data = json_object_get(list, "data");
        const char *last = stripe_text(json_array_get(data, json_array_size(data) - 1), "id");
        const char *id = stripe_text(object, "id");
        if (!json_is_true(json_object_get(list, "has_more")) || !stripe_is_id(last) ||
            !stripe_is_id(id))
            continue;
        char *path = xasprintf("v1/subscription_items?limit=100&expand[]=data.price.tiers"
                               "&subscription=%s&starting_after=%s",
                               id, last);
        machine_go(&SYNC_MACHINE, s->state, ASKING);
        fetcher_list(s->fetcher, path, take_items, s);
        free(path);
        return;
    }
    size_t i;
    json_t *object;
    json_array_foreach(s->page, i, object)
    {
        observe(s, SYNC_LISTS[s->report.step].kind, object, s->asked_ms);
    }
    sync_write(s);
}

static void read_page(struct stripe_sync *s, const struct fetch_answer *answer)
{
    json_t *data = json_object_get(answer->object, "data");
    const char *last = stripe_text(json_array_get(data, json_array_size(data) - 1), "id");
    s->asked_ms = answer->sent_ms;
    s->page = json_incref(data);
    s->batch = json_array();
    s->cut = 0;
    s->in_page = (int)json_array_size(data);
    s->more = json_is_true(json_object_get(answer->object, "has_more")) && stripe_is_id(last);
    sync_own_text(&s->next_after, s->more ? xstrdup(last) : NULL);
    complete_page(s);
}

/* Was the last object of the page before deleted meanwhile? */
static bool is_place_gone(const struct stripe_sync *s, const struct fetch_answer *answer)
{
    return s->after && !s->from_top && answer->refusal == FETCH_REFUSED &&
           (answer->status == 400 || answer->status == 404);
}

static void take_page(void *owner, const struct fetch_answer *answer)
{
    struct stripe_sync *s = owner;
    struct err e;
    if (is_lost(s))
        return;
    if (answer->error) {
        sync_try_again(s, sync_ask,
                       fetcher_wait_ms(s->fetcher, SYNC_LISTS[s->report.step].kind->path),
                       answer->error);
    } else if (is_place_gone(s, answer) || (s->after && !answer->object && !s->from_top &&
                                            answer->refusal == FETCH_NOT_REFUSED)) {
        s->from_top = true;
        sync_own_text(&s->after, NULL);
        sync_ask(s);
    } else if (is_refused(answer, SYNC_LISTS[s->report.step].name, &e)) {
        sync_end(s, &e);
    } else if (!json_is_array(json_object_get(answer->object, "data"))) {
        err_set(&e, ERR_INPUT, "Stripe's answer is no list");
        sync_try_again(s, sync_ask, 0, &e);
    } else {
        read_page(s, answer);
    }
}

void sync_ask(struct stripe_sync *s)
{
    struct buf path = {0};
    enum sync_step step = s->report.step;
    machine_go(&SYNC_MACHINE, s->state, ASKING);
    buf_printf(&path, "%s%s", SYNC_LISTS[step].kind->path, SYNC_LISTS[step].query);
    if (step == SYNC_SUBSCRIPTIONS)
        buf_add_str(&path, fetcher_expand_listed(s->fetcher));
    if (SYNC_LISTS[step].recent)
        buf_printf(&path, "&created[gte]=%" PRId64, s->started_s - RECENT_S);
    if (s->after)
        buf_printf(&path, "&starting_after=%s", s->after);
    fetcher_list(s->fetcher, path.data, take_page, s);
    buf_done(&path);
}

/* What no list had any more. */

static void gone_one(struct stripe_sync *s)
{
    if (--s->asked > 0 || is_lost(s))
        return;
    if (s->failed.kind == ERR_NONE) {
        sync_write(s);
        return;
    }
    sync_forget_page(s);
    sync_try_again(s, sync_find, fetcher_wait_ms(s->fetcher, CUSTOMER_KIND.path), &s->failed);
}

static void take_gone(struct stripe_sync *s, const struct object_kind *kind,
                      const struct fetch_answer *answer)
{
    if (answer->object) {
        observe(s, kind, answer->object, answer->sent_ms);
        s->in_page++;
    } else if (answer->error) {
        s->failed = *answer->error;
    }
    gone_one(s);
}

static void take_gone_customer(void *owner, const struct fetch_answer *answer)
{
    take_gone(owner, &CUSTOMER_KIND, answer);
}

static void take_gone_subscription(void *owner, const struct fetch_answer *answer)
{
    take_gone(owner, &SUBSCRIPTION_KIND, answer);
}

static void take_found(void *owner, const struct err *error, PGresult **results, int n)
{
    struct stripe_sync *s = owner;
    (void)n;
    if (error) {
        sync_end(s, error);
        return;
    }
    const PGresult *rows = results[0];
    int count = PQntuples(rows);
    s->batch = json_array();
    s->in_page = 0;
    s->more = count > 0;
    sync_own_text(&s->next_after, s->more ? xstrdup(PQgetvalue(rows, count - 1, 0)) : NULL);
    machine_go(&SYNC_MACHINE, s->state, ASKING);
    s->asked = 1;
    s->failed = (struct err){0};
    for (int row = 0; row < count; row++) {
        const char *id = PQgetvalue(rows, row, 0);
        bool customer = !strcmp(PQgetvalue(rows, row, 1), "customer");
        s->asked++;
        fetcher_get(s->fetcher, customer ? CUSTOMER_KIND.path : SUBSCRIPTION_KIND.path, id,
                    customer ? take_gone_customer : take_gone_subscription, s);
    }
    gone_one(s);
}

void sync_find(struct stripe_sync *s)
{
    struct pg_statement statement;
    machine_go(&SYNC_MACHINE, s->state, FINDING);
    pg_statement_init(&statement, SQL_SYNC_FIND_GONE);
    pg_add_text(&statement, s->started);
    pg_add_text(&statement, s->after);
    pg_run(s->pg, &statement, 1, DEADLINE_MS, take_found, s);
}
