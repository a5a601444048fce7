#include "api/billing/plan_change.h"

#include "api/billing/phase_settings.h"
#include "api/billing/stripe_versions.h"
#include "common/stripe/objects/stripe_event.h"

#include <assert.h>
#include <string.h>

static const json_t *items_of(const json_t *subscription)
{
    return json_object_get(json_object_get(subscription, "items"), "data");
}

static const json_t *price_of(const json_t *item)
{
    return json_object_get(item, "price");
}

static bool is_metered(const json_t *price)
{
    const char *type = stripe_text(json_object_get(price, "recurring"), "usage_type");
    return type && !strcmp(type, "metered");
}

static bool same(const char *a, const char *b)
{
    return a && b && !strcmp(a, b);
}

const char *plan_change_plan_of(const json_t *price, const json_t *known)
{
    const char *id = stripe_text(price, "id");
    const char *plan = id ? stripe_text(known, id) : NULL;
    return plan ? plan : stripe_text(json_object_get(price, "metadata"), "plan");
}

/* A single licensed item is the fee, whoever made it. */
const json_t *plan_change_fee_item(const json_t *subscription, const json_t *known)
{
    size_t i;
    const json_t *item;
    const json_t *only = NULL;
    int licensed = 0;
    json_array_foreach(items_of(subscription), i, item)
    {
        if (is_metered(price_of(item)))
            continue;
        if (plan_change_plan_of(price_of(item), known))
            return item;
        only = item;
        licensed++;
    }
    return licensed == 1 ? only : NULL;
}

int64_t plan_change_period_end(const json_t *subscription, const json_t *known)
{
    int64_t whole = stripe_integer(subscription, "current_period_end", 0);
    const json_t *fee = plan_change_fee_item(subscription, known);
    if (!fee)
        fee = json_array_get(items_of(subscription), 0);
    return stripe_integer(fee, "current_period_end", whole);
}

/* Which of the new plan's prices takes an item over; NULL: none. A meter counts one thing, whatever
 * the plan; without meters, the metric's name is in the price's metadata or lookup key. */
static const struct offer_price *successor(const json_t *item, const json_t *fee,
                                           const struct offer *target)
{
    const json_t *price = price_of(item);
    const char *meter = stripe_text(json_object_get(price, "recurring"), "meter");
    const char *metric = stripe_text(json_object_get(price, "metadata"), "metric");
    assert(target);
    if (item == fee)
        return &target->fee;
    if (!is_metered(price))
        return NULL;
    for (int i = 0; i < target->usage_n; i++) {
        const struct offer_price *u = &target->usage[i];
        if (same(stripe_text(price, "id"), u->id) || same(meter, u->meter) ||
            (!meter && !u->meter && same(metric, u->metric)))
            return u;
    }
    return NULL;
}

static bool stays(const json_t *item, const json_t *fee, const json_t *known)
{
    return item != fee && !is_metered(price_of(item)) &&
           !plan_change_plan_of(price_of(item), known);
}

static int64_t seats_of(const json_t *fee, const struct change_wish *wish)
{
    return wish->seats > 0 ? wish->seats : stripe_integer(fee, "quantity", 1);
}

/* What is cheaper. */

static int64_t times_a_year(const char *interval)
{
    return !strcmp(interval, "day")    ? 365
           : !strcmp(interval, "week") ? 52
           : !strcmp(interval, "year") ? 1
                                       : 12;
}

static int days_of(const char *interval, int64_t count)
{
    int64_t days = !strcmp(interval, "day")    ? 1
                   : !strcmp(interval, "week") ? 7
                   : !strcmp(interval, "year") ? 365
                                               : 30;
    return (int)(days * (count > 0 && count <= 1000 ? count : 1));
}

struct cost {
    int64_t amount; /* for one */
    int64_t seats;
    const char *interval;
    int64_t interval_count;
};

__extension__ typedef __int128 wide; /* ISO C has no name for it */

/* Of a year, over the other's interval_count, so that no division is needed. */
static wide yearly(struct cost c, int64_t over)
{
    return (wide)c.amount * c.seats * times_a_year(c.interval) * over;
}

/* Less than 0: the new one costs less. */
static int compare_costs(struct cost now, struct cost then)
{
    wide a = yearly(now, then.interval_count);
    wide b = yearly(then, now.interval_count);
    return b < a ? -1 : b > a;
}

static bool costs_less(const json_t *fee, const struct change_wish *wish)
{
    const json_t *recurring = json_object_get(price_of(fee), "recurring");
    const char *interval = stripe_text(recurring, "interval");
    const struct offer_price *target = &wish->target->fee;
    struct cost now = {.amount = stripe_integer(price_of(fee), "unit_amount", -1),
                       .seats = stripe_integer(fee, "quantity", 1),
                       .interval = interval ? interval : "month",
                       .interval_count = stripe_integer(recurring, "interval_count", 1)};
    struct cost then = {.amount = target->amount,
                        .seats = seats_of(fee, wish),
                        .interval = target->interval,
                        .interval_count = target->interval_count};
    int longer =
        days_of(then.interval, then.interval_count) - days_of(now.interval, now.interval_count);
    if (longer)
        return longer < 0;
    if (same(stripe_text(price_of(fee), "id"), target->id))
        return then.seats < now.seats;
    if (now.amount < 0 || then.amount < 0)
        return false;
    return compare_costs(now, then) < 0;
}

/* Decide. */

static bool has_price(const json_t *subscription, const char *price_id)
{
    size_t i;
    const json_t *item;
    json_array_foreach(items_of(subscription), i, item)
    {
        if (same(stripe_text(price_of(item), "id"), price_id))
            return true;
    }
    return false;
}

static bool has_all(const json_t *subscription, const json_t *fee, const json_t *known,
                    const struct change_wish *wish)
{
    size_t i;
    const json_t *item;
    if (!fee || !same(stripe_text(price_of(fee), "id"), wish->target->fee.id) ||
        stripe_integer(fee, "quantity", 1) != seats_of(fee, wish))
        return false;
    for (int u = 0; u < wish->target->usage_n; u++)
        if (!has_price(subscription, wish->target->usage[u].id))
            return false;
    json_array_foreach(items_of(subscription), i, item)
    {
        const struct offer_price *next = successor(item, fee, wish->target);
        if (!next && !stays(item, fee, known))
            return false;
    }
    return true;
}

enum change_kind plan_change_decide(const json_t *subscription, const json_t *known,
                                    const struct change_wish *wish)
{
    const json_t *fee = plan_change_fee_item(subscription, known);
    const char *currency = stripe_text(subscription, "currency");
    const char *status = stripe_text(subscription, "status");
    if (has_all(subscription, fee, known, wish))
        return CHANGE_NOTHING;
    if (currency && *wish->target->fee.currency && strcmp(currency, wish->target->fee.currency))
        return CHANGE_CURRENCY;
    if (wish->when != WHEN_FITTING)
        return wish->when == WHEN_NOW ? CHANGE_NOW : CHANGE_LATER;
    if (same(status, "trialing") || !fee)
        return CHANGE_NOW;
    return costs_less(fee, wish) ? CHANGE_LATER : CHANGE_NOW;
}

/* Parameters. */

static void add_new(struct stripe_form *f, const json_t *subscription, const json_t *fee,
                    const struct change_wish *wish, int n)
{
    const struct offer *target = wish->target;
    assert(target);
    if (!fee) {
        stripe_form_text(f, target->fee.id, "items[%d][price]", n);
        stripe_form_i64(f, seats_of(fee, wish), "items[%d][quantity]", n++);
    }
    for (int u = 0; u < target->usage_n; u++) {
        size_t i;
        const json_t *item;
        bool taken = false;
        json_array_foreach(items_of(subscription), i, item)
        {
            taken |= successor(item, fee, target) == &target->usage[u];
        }
        if (!taken)
            stripe_form_text(f, target->usage[u].id, "items[%d][price]", n++);
    }
}

static void add_items(struct stripe_form *f, const json_t *subscription, const json_t *known,
                      const struct change_wish *wish)
{
    size_t i;
    int n = 0;
    const json_t *item;
    const json_t *fee = plan_change_fee_item(subscription, known);
    json_array_foreach(items_of(subscription), i, item)
    {
        const struct offer_price *next = successor(item, fee, wish->target);
        if (!next && stays(item, fee, known))
            continue;
        stripe_form_text(f, stripe_text(item, "id"), "items[%d][id]", n);
        if (next)
            stripe_form_text(f, next->id, "items[%d][price]", n);
        else
            stripe_form_bool(f, true, "items[%d][deleted]", n);
        if (next && item == fee) /* it would fall to 1 */
            stripe_form_i64(f, seats_of(fee, wish), "items[%d][quantity]", n);
        n++;
    }
    add_new(f, subscription, fee, wish, n);
}

void plan_change_now(struct stripe_form *f, const json_t *subscription, const json_t *known,
                     const struct change_wish *wish)
{
    add_items(f, subscription, known, wish);
    stripe_form_text(f, wish->proration, "proration_behavior");
    stripe_form_text(f, "error_if_incomplete", "payment_behavior");
    stripe_form_text(f, wish->target->plan, "metadata[plan]");
    stripe_form_text(f, wish->tenant, "metadata[tenant]");
}

static const json_t *predecessor(const json_t *subscription, const json_t *fee,
                                 const struct offer *target, const struct offer_price *price)
{
    size_t i;
    const json_t *item;
    json_array_foreach(items_of(subscription), i, item)
    {
        if (successor(item, fee, target) == price)
            return item;
    }
    return NULL;
}

/* The new items have what was said of those whose place they take, as in a change at once. */
static void add_next_items(struct stripe_form *f, const json_t *subscription, const json_t *known,
                           const struct change_wish *wish)
{
    size_t i;
    int n = 0;
    const json_t *item;
    const struct offer *target = wish->target;
    const json_t *fee = plan_change_fee_item(subscription, known);
    stripe_form_text(f, target->fee.id, "phases[1][items][%d][price]", n);
    stripe_form_i64(f, seats_of(fee, wish), "phases[1][items][%d][quantity]", n);
    phase_item_settings(f, fee, 1, n++);
    for (int u = 0; u < target->usage_n; u++) {
        stripe_form_text(f, target->usage[u].id, "phases[1][items][%d][price]", n);
        phase_item_settings(f, predecessor(subscription, fee, target, &target->usage[u]), 1, n++);
    }
    json_array_foreach(items_of(subscription), i, item)
    {
        if (!stays(item, fee, known))
            continue;
        stripe_form_text(f, stripe_text(price_of(item), "id"), "phases[1][items][%d][price]", n);
        stripe_form_i64(f, stripe_integer(item, "quantity", 1), "phases[1][items][%d][quantity]",
                        n);
        phase_item_settings(f, item, 1, n++);
    }
}

static void add_next_phase(struct stripe_form *f, const json_t *phase, const json_t *subscription,
                           const json_t *known, const struct change_wish *wish)
{
    const struct offer *target = wish->target;
    add_next_items(f, subscription, known, wish);
    if (stripe_knows_duration(wish->version)) {
        stripe_form_text(f, target->fee.interval, "phases[1][duration][interval]");
        stripe_form_i64(f, target->fee.interval_count, "phases[1][duration][interval_count]");
    } else {
        stripe_form_i64(f, 1, "phases[1][iterations]");
    }
    stripe_form_text(f, "none", "phases[1][proration_behavior]");
    phase_settings(f, phase, 1);
    if (stripe_integer(phase, "trial_end", 0) > plan_change_period_end(subscription, known))
        stripe_form_i64(f, stripe_integer(phase, "trial_end", 0), "phases[1][trial_end]");
    stripe_form_text(f, target->plan, "phases[1][metadata][plan]");
    stripe_form_text(f, wish->tenant, "phases[1][metadata][tenant]");
}

/* The phase that runs now: what is over stays out of the call. */
static const json_t *running_phase(const json_t *schedule)
{
    size_t i;
    const json_t *phase;
    int64_t start_s = stripe_integer(json_object_get(schedule, "current_phase"), "start_date", -1);
    json_array_foreach(json_object_get(schedule, "phases"), i, phase)
    {
        if (stripe_integer(phase, "start_date", -2) == start_s)
            return phase;
    }
    return NULL;
}

int plan_change_later(struct stripe_form *f, const json_t *schedule, const json_t *subscription,
                      const json_t *known, const struct change_wish *wish)
{
    const json_t *phase = running_phase(schedule);
    int64_t end_s = plan_change_period_end(subscription, known);
    if (!phase || end_s <= 0)
        return -1;
    stripe_form_text(f, "release", "end_behavior");
    stripe_form_i64(f, stripe_integer(phase, "start_date", 0), "phases[0][start_date]");
    stripe_form_i64(f, end_s, "phases[0][end_date]");
    phase_as_is(f, phase, 0);
    add_next_phase(f, phase, subscription, known, wish);
    return 0;
}

static void add_phase(struct stripe_form *f, const json_t *phase, int n, bool is_last,
                      const char *version)
{
    int64_t end_s = stripe_integer(phase, "end_date", 0);
    if (end_s > 0)
        stripe_form_i64(f, end_s, "phases[%d][end_date]", n);
    else if (is_last && !stripe_knows_duration(version))
        stripe_form_i64(f, 1, "phases[%d][iterations]", n);
    phase_as_is(f, phase, n);
    stripe_form_text(f, stripe_text(phase, "proration_behavior"), "phases[%d][proration_behavior]",
                     n);
}

int plan_change_restore(struct stripe_form *f, const json_t *made, const json_t *released,
                        const char *version)
{
    size_t i;
    const json_t *phase;
    const json_t *now = running_phase(made);
    const json_t *phases = json_object_get(released, "phases");
    int64_t from_s = stripe_integer(json_object_get(released, "current_phase"), "start_date", 0);
    int n = 0;
    if (!now || !running_phase(released))
        return -1;
    stripe_form_text(f, stripe_text(released, "end_behavior"), "end_behavior");
    stripe_form_i64(f, stripe_integer(now, "start_date", 0), "phases[0][start_date]");
    json_array_foreach(phases, i, phase)
    {
        if (stripe_integer(phase, "start_date", 0) >= from_s)
            add_phase(f, phase, n++, i + 1 == json_array_size(phases), version);
    }
    return 0;
}
