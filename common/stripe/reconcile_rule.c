#include "common/stripe/reconcile_rule.h"

#include <assert.h>

enum { MINUTE_S = 60 };

int reconcile_rule_drift(struct dec stripe, struct dec low, struct dec high, struct dec *drift)
{
    *drift = DEC_ZERO;
    if (dec_cmp(stripe, low) < 0)
        return dec_sub(stripe, low, drift);
    return dec_cmp(stripe, high) > 0 ? dec_sub(stripe, high, drift) : 0;
}

struct reading reconcile_rule_sent(const struct sent_minute *minutes, int n, int64_t start_s,
                                   int64_t end_s, bool newest)
{
    struct reading reading = {0};
    for (int i = 0; i < n && minutes[i].at_s < end_s; i++) {
        if (minutes[i].at_s < start_s)
            continue;
        struct dec before = newest ? DEC_ZERO : reading.value;
        bool fits = dec_add(before, minutes[i].quantity, &reading.value) == 0;
        assert(fits); /* a submission has 15 digits */
        reading.any = true;
    }
    return reading;
}

bool reconcile_rule_agree(struct reading a, struct reading b, bool newest)
{
    return dec_cmp(a.value, b.value) == 0 && (!newest || a.any == b.any);
}

int64_t reconcile_rule_middle(int64_t start_s, int64_t end_s)
{
    assert(end_s - start_s > MINUTE_S);
    return start_s + (end_s - start_s) / (2 * MINUTE_S) * MINUTE_S;
}

/* What one reading says. */
static enum doubt_verdict judge(const struct doubt *d, struct reading reading)
{
    bool nothing = !reading.any || (dec_is_zero(reading.value) && !d->newest);
    if (d->unclear)
        return DOUBT_FAIL;
    /* A quantity of 0 makes no difference to a sum, whether or not it arrived. A newest value of 0
     * does. */
    if (dec_is_zero(d->quantity) && nothing && !d->newest)
        return DOUBT_SENT;
    if (nothing)
        return d->known ? DOUBT_FAIL : DOUBT_VOID;
    return dec_cmp(reading.value, d->quantity) == 0 ? DOUBT_SENT : DOUBT_FAIL;
}

enum doubt_verdict reconcile_rule_found(const struct doubt *d)
{
    return judge(d, d->now);
}

enum doubt_verdict reconcile_rule_doubt(const struct doubt *d)
{
    enum doubt_verdict now = judge(d, d->now);
    if (!d->read_before)
        return d->unclear ? DOUBT_FAIL : DOUBT_NOTE;
    return now == judge(d, d->first) ? now : DOUBT_FAIL;
}

struct dec reconcile_rule_may_hold(const struct doubt *d)
{
    if (d->unclear || d->known)
        return d->quantity;
    return dec_is_zero(d->now.value) ? d->first.value : d->now.value;
}

void reconcile_rule_records(struct dec total, struct dec sent, struct dec doubtful, struct doubt *d)
{
    struct dec with;
    d->now = (struct reading){0};
    d->unclear = false;
    if (dec_cmp(total, sent) == 0)
        return;
    if (dec_add(sent, doubtful, &with) == 0 && dec_cmp(total, with) == 0)
        d->now = (struct reading){.any = true, .value = d->quantity};
    else
        d->unclear = true;
}
