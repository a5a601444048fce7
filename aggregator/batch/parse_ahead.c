#include "aggregator/batch/parse_ahead.h"

#include "common/clock.h"

void parse_ahead_init(struct parse_ahead *p, const struct ledger *l, const char *stream, int shard,
                      int shards, const unsigned char key[16])
{
    *p = (struct parse_ahead){.ledger = l};
    for (int i = 0; i < 2; i++)
        batch_init(&p->batches[i], stream, shard, shards, key);
    p->batch = &p->batches[0];
    p->ahead = &p->batches[1];
}

void parse_ahead_done(struct parse_ahead *p)
{
    batch_done(&p->batches[0]);
    batch_done(&p->batches[1]);
}

void parse_ahead_set_repeats(struct parse_ahead *p, struct entry_id repeats_until)
{
    p->batch->repeats_until = repeats_until;
    p->ahead->repeats_until = repeats_until;
}

bool parse_ahead_has(const struct parse_ahead *p, const struct entries *entries)
{
    const struct batch *b = p->ahead;
    /* Which entries lie in the future is judged by the ledger's clock as it was last read. Before
     * the first batch after a pause, that may be long ago. */
    bool clock_old = p->ledger->now_ms - b->parser.now_ms > MINUTE_MS;
    return b->entries == entries && b->clears == entries->clears && b->from == 0 &&
           b->catalog == p->ledger->catalog && p->ahead_version == p->ledger->catalog_version &&
           b->dedupe == p->dedupe && !clock_old;
}

void parse_ahead_run(struct parse_ahead *p, const struct entries *entries, uint32_t to)
{
    uint32_t max = dedupe_batch_max(p->dedupe);
    if (to == 0)
        return;
    if (to > max)
        to = max;
    if (parse_ahead_has(p, entries)) {
        batch_parse_more(p->ahead, to);
        return;
    }
    p->ahead_version = p->ledger->catalog_version;
    p->ahead->parser.now_ms = p->ledger->now_ms;
    batch_parse(p->ahead, p->ledger->catalog, p->dedupe, entries, 0, to, NULL);
}

void parse_ahead_take(struct parse_ahead *p, const struct entries *entries, uint32_t from,
                      uint32_t to, const char *refuse)
{
    struct batch *ahead = p->ahead;
    if (from > 0 || refuse || !parse_ahead_has(p, entries) || ahead->to > to) {
        p->batch->parser.now_ms = p->ledger->now_ms;
        batch_parse(p->batch, p->ledger->catalog, p->dedupe, entries, from, to, refuse);
        return;
    }
    p->ahead = p->batch;
    p->batch = ahead;
    batch_parse_more(p->batch, to);
}
