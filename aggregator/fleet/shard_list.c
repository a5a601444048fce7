#include "aggregator/fleet/shard_list.h"

#include "aggregator/shard/shard_metrics.h"
#include "common/clock.h"

#include <string.h>

void shard_list_add(struct shard_list *l, struct shard *s)
{
    l->shards = xrealloc(l->shards, (size_t)(l->count + 1) * sizeof *l->shards);
    l->shards[l->count++] = s;
}

void shard_list_remove(struct shard_list *l, const struct shard *s)
{
    int at = 0;
    while (l->shards[at] != s)
        at++;
    memmove(&l->shards[at], &l->shards[at + 1], (size_t)(--l->count - at) * sizeof *l->shards);
}

struct shard *shard_list_find(const struct shard_list *l, const char *stream)
{
    for (int i = 0; i < l->count; i++)
        if (strcmp(l->shards[i]->stream, stream) == 0)
            return l->shards[i];
    return NULL;
}

bool shard_list_owns_one(const struct shard_list *l)
{
    for (int i = 0; i < l->count; i++)
        if (l->shards[i]->ledger.owned)
            return true;
    return false;
}

bool shard_list_counts_one(const struct shard_list *l)
{
    for (int i = 0; i < l->count; i++)
        if (l->shards[i]->ledger.owned && l->shards[i]->state >= SHARD_LOADING)
            return true;
    return false;
}

bool shard_list_is_behind(const struct shard_list *l)
{
    int64_t now_ms = clock_unix_ms();
    for (int i = 0; i < l->count; i++) {
        const struct position *p = &l->shards[i]->ledger.position;
        struct entry_id last;
        if (l->shards[i]->state != SHARD_RUNNING || entry_id_parse(p->last_id, &last) != 0 ||
            (p->added_seen > position_accounted(p) &&
             entry_id_time_ms(last, now_ms) < now_ms - HOUR_MS))
            return true;
    }
    return false;
}

bool shard_list_is_finished(const struct shard_list *l)
{
    for (int i = 0; i < l->count; i++)
        if (!l->shards[i]->finished)
            return false;
    return true;
}

void shard_list_note_renewed(struct shard_list *l, struct pg_array *streams,
                             struct pg_array *windows_s)
{
    for (int i = 0; i < l->count; i++) {
        struct shard *s = l->shards[i];
        s->renewed = s->ledger.owned;
        s->renewed_generation = s->generation;
        s->renewed_batches = s->ledger.position.batches;
        if (!s->renewed)
            continue;
        pg_array_add_text(streams, s->stream);
        if (s->state == SHARD_RUNNING)
            pg_array_add_i64(windows_s, dedupe_window_ms(s->loading.dedupe) / 1000);
        else
            pg_array_add_null(windows_s);
    }
}

void shard_list_check_renewed(struct shard_list *l, const char *stream, int64_t batches)
{
    for (int i = 0; i < l->count; i++) {
        struct shard *s = l->shards[i];
        if (strcmp(s->stream, stream) != 0 || !s->renewed || s->state != SHARD_RUNNING ||
            s->renewed_generation != s->generation || batches >= s->renewed_batches)
            continue;
        struct err e;
        err_set(&e, ERR_REFUSED, "PostgreSQL has fewer batches than were committed: %lld of %lld",
                (long long)batches, (long long)s->renewed_batches);
        shard_fail(s, "renew lease", &e);
    }
}

bool shard_list_has_pg(const struct shard_list *l)
{
    for (int i = 0; i < l->count; i++)
        if (!pg_is_up(l->shards[i]->pg))
            return false;
    return true;
}

bool shard_list_has_redis(const struct shard_list *l)
{
    for (int i = 0; i < l->count; i++)
        if (!shard_has_redis(l->shards[i]))
            return false;
    return true;
}

void shard_list_add_why(const struct shard_list *l, struct buf *why)
{
    for (int i = 0; i < l->count; i++)
        if (l->shards[i]->watch.unfit)
            buf_printf(why, "redis: %s: %s\n", l->shards[i]->stream, l->shards[i]->watch.unfit);
    for (int i = 0; i < l->count; i++)
        if (l->shards[i]->recovery.foreign_ledger[0] != '\0')
            buf_printf(why, "redis: %s belongs to ledger %s\n", l->shards[i]->stream,
                       l->shards[i]->recovery.foreign_ledger);
}

void shard_list_scrape(struct shard_list *l)
{
    for (int i = 0; i < l->count; i++)
        if (l->shards[i]->loading.dedupe)
            shard_metrics_set_dedupe(l->shards[i]->label, l->shards[i]->loading.dedupe);
}
