/* The happy path: Stripe's sums of whole hours are compared with what we sent in them. Hours that
 * differ, and the parts of hours at the edges, are the ranges to search. Stripe's figure of a range
 * is read and compared; a range that differs is cut in two, down to a minute. Where Stripe sums up,
 * the second half is what the first one leaves of both, so that it need not be read. An hour whose
 * sum is right is not searched, though two errors in it may cancel each other out.
 *
 *      HOURS --> RANGES --no range is left, or enough found--> done
 *
 * The failure modes are Stripe's: the search ends with its error. */
#include "common/stripe/drift_search.h"

#include "common/str.h"

#include <stdlib.h>

enum { MINUTE_S = 60, HOUR_S = 3600 };

struct range {
    int64_t start_s;
    int64_t end_s;
    bool known;             /* reading needs not be asked for */
    struct reading reading; /* Stripe's */
    bool has_rest;          /* of a sum: the other half, up to rest_end_s, is both minus this one */
    int64_t rest_end_s;
    struct dec both;
};

struct drift_search {
    struct stripe_usage *usage;
    const struct customer_meter *meter;
    const struct sent_minute *minutes;
    int n;
    int64_t start_s;
    int64_t end_s;
    int most;
    struct range *ranges; /* a stack: the earliest on top */
    int range_count;
    int range_room;
    struct range now;           /* being read */
    struct drift_minute *hours; /* Stripe's figures of whole hours, in its order */
    int hour_count;
    int hour_room;
    struct drift_minute *found;
    int found_count;
    stripe_done_fn done;
    void *owner;
};

static void look_on(struct drift_search *x);

struct drift_search *drift_search_new(struct stripe_usage *usage,
                                      const struct customer_meter *meter,
                                      const struct sent_minute *minutes, int n, int64_t start_s,
                                      int64_t end_s, int most)
{
    struct drift_search *x = xcalloc(1, sizeof *x);
    *x = (struct drift_search){.usage = usage,
                               .meter = meter,
                               .minutes = minutes,
                               .n = n,
                               .start_s = start_s,
                               .end_s = end_s,
                               .most = most};
    return x;
}

void drift_search_free(struct drift_search *x)
{
    free(x->ranges);
    free(x->hours);
    free(x->found);
    free(x);
}

const struct drift_minute *drift_search_found(const struct drift_search *x, int *n)
{
    *n = x->found_count;
    return x->found;
}

/* Room for one more of size bytes. */
static void *grow(void *list, int count, int *room, size_t size)
{
    if (count < *room)
        return list;
    *room = *room ? 2 * *room : 16;
    return xrealloc(list, (size_t)*room * size);
}

static void push(struct drift_search *x, const struct range *r)
{
    if (r->start_s >= r->end_s)
        return;
    x->ranges = grow(x->ranges, x->range_count, &x->range_room, sizeof *x->ranges);
    x->ranges[x->range_count++] = *r;
}

static bool agrees(const struct drift_search *x, int64_t start_s, int64_t end_s,
                   struct reading reading)
{
    struct reading sent = reconcile_rule_sent(x->minutes, x->n, start_s, end_s, x->meter->newest);
    return reconcile_rule_agree(sent, reading, x->meter->newest);
}

/* r differs: its halves, the earlier one on top. */
static void cut(struct drift_search *x, const struct range *r)
{
    int64_t middle_s = reconcile_rule_middle(r->start_s, r->end_s);
    struct range left = {.start_s = r->start_s, .end_s = middle_s};
    struct range right = {.start_s = middle_s, .end_s = r->end_s};
    if (x->meter->newest) {
        push(x, &right);
    } else {
        left.has_rest = true;
        left.rest_end_s = r->end_s;
        left.both = r->reading.value;
    }
    push(x, &left);
}

static void judge(struct drift_search *x, const struct range *r)
{
    if (agrees(x, r->start_s, r->end_s, r->reading))
        return;
    if (r->end_s - r->start_s != MINUTE_S) {
        cut(x, r);
        return;
    }
    x->found = xrealloc(x->found, (size_t)(x->found_count + 1) * sizeof *x->found);
    x->found[x->found_count++] = (struct drift_minute){r->start_s, r->reading};
}

/* The half that need not be read, since both together are known. */
static void push_rest(struct drift_search *x, const struct range *r)
{
    struct range rest = {.start_s = r->end_s, .end_s = r->rest_end_s, .known = true};
    if (dec_sub(r->both, r->reading.value, &rest.reading.value))
        rest.known = false;
    rest.reading.any = !dec_is_zero(rest.reading.value);
    push(x, &rest);
}

static void take_range(void *owner, const struct err *error)
{
    struct drift_search *x = owner;
    if (error) {
        x->done(x->owner, error);
        return;
    }
    if (x->now.has_rest)
        push_rest(x, &x->now);
    judge(x, &x->now);
    look_on(x);
}

/* The next range: one that is known is judged here, one that is not is read first. */
static void look_on(struct drift_search *x)
{
    while (x->range_count > 0 && x->found_count < x->most) {
        x->now = x->ranges[--x->range_count];
        if (!x->now.known) {
            stripe_usage_read(x->usage, x->meter, x->now.start_s, x->now.end_s, &x->now.reading,
                              take_range, x);
            return;
        }
        judge(x, &x->now);
    }
    x->done(x->owner, NULL);
}

static void take_hour(void *owner, int64_t start_s, struct reading reading)
{
    struct drift_search *x = owner;
    x->hours = grow(x->hours, x->hour_count, &x->hour_room, sizeof *x->hours);
    x->hours[x->hour_count++] = (struct drift_minute){start_s, reading};
}

static struct reading hour_reading(const struct drift_search *x, int64_t start_s)
{
    for (int i = 0; i < x->hour_count; i++)
        if (x->hours[i].at_s == start_s)
            return x->hours[i].reading;
    return (struct reading){0};
}

static int64_t first_hour(const struct drift_search *x)
{
    return (x->start_s + HOUR_S - 1) / HOUR_S * HOUR_S;
}

static int64_t last_hour(const struct drift_search *x)
{
    return x->end_s / HOUR_S * HOUR_S;
}

/* The latest first, so that the earliest is on top. */
static void take_hours(void *owner, const struct err *error)
{
    struct drift_search *x = owner;
    if (error) {
        x->done(x->owner, error);
        return;
    }
    push(x, &(struct range){.start_s = last_hour(x), .end_s = x->end_s});
    for (int64_t at_s = last_hour(x) - HOUR_S; at_s >= first_hour(x); at_s -= HOUR_S) {
        struct range hour = {.start_s = at_s,
                             .end_s = at_s + HOUR_S,
                             .known = true,
                             .reading = hour_reading(x, at_s)};
        if (!agrees(x, hour.start_s, hour.end_s, hour.reading))
            push(x, &hour);
    }
    push(x, &(struct range){.start_s = x->start_s, .end_s = first_hour(x)});
    look_on(x);
}

void drift_search_start(struct drift_search *x, stripe_done_fn done, void *owner)
{
    x->done = done;
    x->owner = owner;
    if (first_hour(x) < last_hour(x)) {
        stripe_usage_hours(x->usage, x->meter, first_hour(x), last_hour(x), take_hour, take_hours,
                           x);
        return;
    }
    push(x, &(struct range){.start_s = x->start_s, .end_s = x->end_s});
    look_on(x);
}
