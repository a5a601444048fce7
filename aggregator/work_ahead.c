/* Parsing ahead: PostgreSQL works on one batch while the entries of the next one are parsed as they
 * come. What is parsed depends on the entries and the catalog alone, so that it can be thrown away
 * whenever one of them is not what it was. */
#include "aggregator/aggregator.h"

static bool is_ahead_of(const struct shard *s, const struct entries *entries)
{
    const struct batch *b = s->ahead;

    return b->entries == entries && b->clears == entries->clears && b->from == 0 &&
           b->catalog == s->ledger.catalog && s->ahead_version == s->ledger.catalog_version &&
           b->dedupe == s->dedupe;
}

static void parse_until(struct shard *s, const struct entries *entries, uint32_t to)
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
    uint32_t complete;
    const struct entries *entries = feed_filling(&s->feed, &complete);

    /* What was taken is parsed, and is about to become the batch on its way. */
    if (s->work.state == WORK_JUDGING && is_ahead_of(s, s->work.entries))
        return;
    parse_until(s, entries, complete);
}

void work_parse_taken(struct shard *s)
{
    parse_until(s, s->work.entries, s->work.entries->count);
}

void work_parse(struct shard *s)
{
    const struct work *w = &s->work;
    struct batch *ahead = s->ahead;

    if (w->from > 0 || w->refusal[0] != '\0' || !is_ahead_of(s, w->entries) || ahead->to > w->to) {
        batch_parse(s->batch, s->ledger.catalog, s->dedupe, w->entries, w->from, w->to,
                    w->refusal[0] != '\0' ? w->refusal : NULL);
        return;
    }
    s->ahead = s->batch;
    s->batch = ahead;
    batch_parse_more(s->batch, w->to);
}
