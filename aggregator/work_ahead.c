/* Parsing ahead: PostgreSQL works on one batch while the entries of the next one are parsed as they
 * come. What is parsed depends on the entries, the catalog and the clock alone, so that it can be
 * thrown away whenever one of them is not what it was. */
#include "aggregator/shard.h"
#include "common/clock.h"

/* Which entries are astray is told by the ledger's clock as it was last read: before the first
 * batch after a rest, that may be long ago. */
static bool is_clock_old(const struct shard *s)
{
    return s->ledger.now_ms - s->ahead->parser.now_ms > MINUTE_MS;
}

static bool is_ahead_of(const struct shard *s, const struct entries *entries)
{
    const struct batch *b = s->ahead;

    return b->entries == entries && b->clears == entries->clears && b->from == 0 &&
           b->catalog == s->ledger.catalog && s->ahead_version == s->ledger.catalog_version &&
           b->dedupe == s->dedupe && !is_clock_old(s);
}

void work_parse_whole(struct shard *s, const struct entries *entries, uint32_t to)
{
    if (s->state != SHARD_RUNNING || to == 0)
        return;
    if (to > dedupe_batch_max(s->dedupe))
        to = dedupe_batch_max(s->dedupe);
    if (is_ahead_of(s, entries)) {
        batch_parse_more(s->ahead, to);
        return;
    }
    s->ahead_version = s->ledger.catalog_version;
    s->ahead->parser.now_ms = s->ledger.now_ms;
    batch_parse(s->ahead, s->ledger.catalog, s->dedupe, entries, 0, to, NULL);
}

void work_parse_ahead(struct shard *s)
{
    uint32_t whole;
    const struct entries *entries = feed_filling(&s->feed, &whole);

    /* What was taken is parsed already, and about to become the batch on its way. */
    if (s->work.state == WORK_JUDGING && is_ahead_of(s, s->work.entries))
        return;
    work_parse_whole(s, entries, whole);
}

void work_parse(struct shard *s)
{
    const struct work *w = &s->work;
    struct batch *ahead = s->ahead;

    if (w->from > 0 || w->refusal[0] != '\0' || !is_ahead_of(s, w->entries) || ahead->to > w->to) {
        s->batch->parser.now_ms = s->ledger.now_ms;
        batch_parse(s->batch, s->ledger.catalog, s->dedupe, w->entries, w->from, w->to,
                    w->refusal[0] != '\0' ? w->refusal : NULL);
        return;
    }
    s->ahead = s->batch;
    s->batch = ahead;
    batch_parse_more(s->batch, w->to);
}
