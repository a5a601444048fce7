#include "sink/claim/claim_rule.h"

#include <string.h>

/* In a period's last hour, and once it is over, rising values go into the minutes of that hour: the
 * first at its beginning, and then one for every two minutes that pass. So some are left for what
 * changes after the period, until its invoice is final about an hour later. */
#define RISING_ROOM_MS (59 * MINUTE_MS)
#define RISING_PACE    2

static int64_t max_of(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static int64_t min_of(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t minute_from(int64_t ms)
{
    return clock_minute_of(ms + MINUTE_MS - 1);
}

/* Minutes that may be used, both included. */
struct window {
    int64_t low_ms;
    int64_t high_ms;
};

static struct window window_of(const struct claim_total *t)
{
    return (struct window){
        .low_ms = minute_from(max_of(t->period_start_ms, t->billed_from_ms)),
        .high_ms = clock_minute_of(t->period_end_ms - 1),
    };
}

static bool take(int64_t minute_ms, struct window w, int64_t *out)
{
    if (minute_ms < w.low_ms || minute_ms > w.high_ms)
        return false;
    *out = minute_ms;
    return true;
}

static bool is_after_all(const struct claim_total *t, int64_t minute_ms)
{
    return t->last_ms == 0 || minute_ms > t->last_ms;
}

/* What ends with its period takes nothing of a minute to come either (usage records: "not in the
 * future", docs.stripe.com/api/usage_records/create). */
static int64_t ahead_of(const struct claim_total *t)
{
    return t->ends_with_period ? 0 : CLAIM_AHEAD_MS;
}

/* The period goes on: the current minute, else one beside what was used. */
static bool running_minute(const struct claim_total *t, struct window w, int64_t now_ms,
                           int64_t *out)
{
    int64_t current_ms = max_of(clock_minute_of(now_ms), w.low_ms);
    w.high_ms = min_of(w.high_ms, clock_minute_of(now_ms) + ahead_of(t));
    if (is_after_all(t, current_ms))
        return take(current_ms, w, out);
    struct window past = {max_of(w.low_ms, minute_from(now_ms - CLAIM_OLDEST_MS)), w.high_ms};
    if (t->additive && take(t->first_ms - MINUTE_MS, past, out))
        return true;
    return take(t->last_ms + MINUTE_MS, w, out);
}

static bool ended_sum_minute(const struct claim_total *t, struct window w, int64_t *out)
{
    if (take(t->free_ms, w, out))
        return true;
    return take(is_after_all(t, w.high_ms) ? w.high_ms : t->first_ms - MINUTE_MS, w, out);
}

static bool rising_minute(const struct claim_total *t, struct window w, int64_t now_ms,
                          int64_t *out)
{
    int64_t room_ms = max_of(w.low_ms, w.high_ms - RISING_ROOM_MS);
    int64_t passed_ms = clock_minute_of(now_ms) - room_ms;
    if (passed_ms < 0) {
        w.high_ms = max_of(w.low_ms, room_ms - MINUTE_MS);
        return running_minute(t, w, now_ms, out);
    }
    w.high_ms = min_of(w.high_ms, room_ms + clock_minute_of(passed_ms / RISING_PACE));
    return take(t->last_ms == 0 ? room_ms : max_of(room_ms, t->last_ms + MINUTE_MS), w, out);
}

bool claim_rule_minute(const struct claim_total *t, int64_t now_ms, int64_t *minute_ms)
{
    struct window w = window_of(t);
    if (!t->additive)
        return rising_minute(t, w, now_ms, minute_ms);
    if (t->period_end_ms > now_ms)
        return running_minute(t, w, now_ms, minute_ms);
    return ended_sum_minute(t, w, minute_ms);
}

static struct dec min_dec(struct dec a, struct dec b)
{
    return dec_cmp(a, b) < 0 ? a : b;
}

static struct dec max_dec(struct dec a, struct dec b)
{
    return dec_cmp(a, b) > 0 ? a : b;
}

static bool is_negative(struct dec value)
{
    return dec_cmp(value, DEC_ZERO) < 0;
}

static struct dec clamp(struct dec value)
{
    return max_dec(min_dec(value, dec_from_i64(CLAIM_LIMIT)), dec_from_i64(-CLAIM_LIMIT));
}

/* floor(total) - claimed. A difference beyond dec's range is clamped by the caller in any case. */
static struct dec difference(struct dec whole, struct dec claimed)
{
    struct dec rest;
    if (dec_sub(whole, claimed, &rest) == 0)
        return rest;
    return dec_cmp(whole, claimed) > 0 ? whole : claimed;
}

/* Cannot overflow: the sum lies between what was claimed and the total. */
static struct dec sum(struct dec a, struct dec b)
{
    struct dec out = a;
    (void)dec_add(a, b, &out);
    return out;
}

/* A part of a value, or the nearest one, would be another value. */
static bool is_too_large(const struct claim_total *t)
{
    struct dec whole = dec_floor(t->quantity);
    return !t->additive && dec_cmp(clamp(whole), whole) != 0;
}

static bool is_over(const struct claim_total *t, int64_t now_ms)
{
    return t->period_end_ms <= now_ms;
}

/* Nothing of that period is taken any more, whatever the minute. */
static bool is_closed(const struct claim_total *t, int64_t now_ms)
{
    return t->invoice_final || (is_over(t, now_ms) && t->ends_with_period);
}

static bool has_place(const struct claim_total *t)
{
    return t->additive ? dec_cmp(t->place_units, DEC_ZERO) > 0 : t->takes_negative;
}

/* A negative difference, as far as its place holds it. */
static struct dec subtractable(const struct claim_total *t, struct dec rest)
{
    return max_dec(rest, difference(DEC_ZERO, t->place_units));
}

/* Returns false if there is nothing to claim. */
static bool fill_quantity(const struct claim_total *t, int64_t now_ms, struct claim *c)
{
    struct dec whole = dec_floor(t->quantity);
    struct dec rest = t->additive ? difference(whole, t->claimed) : whole;
    c->quantity = clamp(rest);
    c->split = dec_cmp(c->quantity, rest) != 0;
    if (t->additive && is_negative(rest) && has_place(t) && !is_closed(t, now_ms)) {
        struct dec part = subtractable(t, c->quantity);
        c->elsewhere = dec_cmp(part, c->quantity) != 0;
        c->split &= !c->elsewhere;
        c->quantity = part;
    }
    /* What is left over keeps the total dirty: versions are whole, so one less is older. */
    c->version = t->version - (c->split || c->elsewhere);
    bool stays = !is_negative(c->quantity) || !has_place(t);
    if (t->has_held && stays && dec_cmp(c->quantity, t->held) == 0)
        return false; /* it stays held as it is */
    c->voids_held = t->has_held;
    c->claimed = t->additive ? sum(t->claimed, c->quantity) : c->quantity;
    return t->additive ? !dec_is_zero(c->quantity) : dec_cmp(c->quantity, t->claimed) != 0;
}

static enum claim_state state_of(const struct claim_total *t, int64_t now_ms, const struct claim *c)
{
    if (is_closed(t, now_ms) || c->usage_at_ms < now_ms - CLAIM_OLDEST_MS)
        return CLAIM_LATE;
    return is_negative(c->quantity) && !has_place(t) ? CLAIM_HELD : CLAIM_PENDING;
}

static void use_minute(const struct claim_total *t, int64_t now_ms, struct claim *c)
{
    int64_t at_ms = c->usage_at_ms;
    c->state = state_of(t, now_ms, c);
    c->split &= c->state != CLAIM_HELD; /* the rest would be held against it, for nothing */
    c->claims = t->claims + 1;
    c->first_ms = t->first_ms == 0 ? at_ms : min_of(t->first_ms, at_ms);
    c->last_ms = max_of(t->last_ms, at_ms);
}

/* As it was, what is held with it. */
static struct claim claim_as_it_was(const struct claim_total *t)
{
    struct dec all = t->additive ? sum(t->claimed, t->held) : t->held;
    return (struct claim){.version = t->version - 1, /* still dirty */
                          .claimed = t->has_held ? all : t->claimed,
                          .claims = t->claims,
                          .first_ms = t->first_ms,
                          .last_ms = t->last_ms};
}

enum claim_decision claim_rule_decide(const struct claim_total *t, int64_t now_ms,
                                      struct claim *out)
{
    struct claim c = *out = claim_as_it_was(t);
    if (t->outside)
        return CLAIM_OUTSIDE;
    if (t->unmapped)
        return CLAIM_UNMAPPED;
    if (is_too_large(t)) {
        out->version = t->version;
        return CLAIM_TOO_LARGE;
    }
    bool due = fill_quantity(t, now_ms, &c);
    if (due && !claim_rule_minute(t, now_ms, &c.usage_at_ms))
        return CLAIM_WAIT;
    if (due)
        use_minute(t, now_ms, &c);
    *out = c;
    return due ? CLAIM_MAKE : CLAIM_MARK;
}

void claim_rule_apply(struct claim_total *t, const struct claim *made)
{
    t->claimed = made->claimed;
    t->claims = made->claims;
    t->first_ms = made->first_ms;
    t->last_ms = made->last_ms;
    t->has_held = false;
    t->held = DEC_ZERO;
    if (is_negative(made->quantity))
        t->place_units = sum(t->place_units, made->quantity);
    if (t->free_ms == made->usage_at_ms)
        t->free_ms = 0;
}
