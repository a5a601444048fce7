/* What is needed of the ledger when a stream is taken over.
 *
 * Sums that others left pending: those that were lost with their process are counted from the raw
 * events, a batch a transaction; then each stream is folded in one. So no transaction comes near
 * its deadline.
 *
 * The deduplication table: it is rebuilt from the stored batches, a slice a row, as they arrive. */
#include "aggregator/ledger/ledger.h"

#include "aggregator/batch/event_id.h"
#include "aggregator/sql.h"
#include "common/clock.h"
#include "common/log.h"

#include <endian.h>
#include <stdlib.h>

enum {
    RECOVER_DEADLINE_MS = 120000,
    WINDOW_DEADLINE_MS = 600000,
    ID_TEXT_MAX = 512,
    HASHES_AHEAD = 16
};

static void take_count(void *owner, const struct err *error, PGresult **results, int n);

static void run_left(struct ledger *l, const char *sql, pg_done_fn done)
{
    struct pg_statement s;
    pg_statement_init(&s, sql);
    pg_add_text(&s, l->stream);
    columns_bind(&l->params, &s);
    pg_run(l->pg, &s, 1, RECOVER_DEADLINE_MS, done, l);
}

static void take_fold(void *owner, const struct err *error, PGresult **results, int n)
{
    struct ledger *l = owner;
    (void)n;
    if (!error) {
        l->on_totals(l->totals_owner, results[0]);
        results[0] = NULL; /* the rows are the taker's: see pg_done_fn */
        run_left(l, SQL_COUNT_LEFT, take_count);
    } else {
        ledger_finish(l, error);
    }
}

static void take_count(void *owner, const struct err *error, PGresult **results, int n)
{
    struct ledger *l = owner;
    (void)n;
    if (error || strcmp(PQgetvalue(results[0], 0, 1), "0") == 0)
        ledger_finish(l, error);
    else if (strcmp(PQgetvalue(results[0], 0, 0), "0") != 0)
        run_left(l, SQL_COUNT_LEFT, take_count);
    else
        run_left(l, SQL_FOLD_LEFT, take_fold);
}

void ledger_recover_sums(struct ledger *l, struct pg_array *current, ledger_done_fn done,
                         void *owner)
{
    ledger_start(l, done, owner, NULL);
    columns_done(&l->params);
    l->params = (struct columns){.arrays = {*current}, .width = 1};
    run_left(l, SQL_COUNT_LEFT, take_count);
}

struct load {
    struct ledger *ledger;
    struct dedupe *dedupe;
    struct dedupe_batch batch; /* being loaded; batch_id -1: none */
    bool skipped;              /* it is more than the table can hold */
    uint32_t rows;             /* of it, loaded so far */
    int shard;                 /* whose tenants are loaded, … */
    int shards;                /* … of so many */
    uint64_t keys;
    int64_t since_ms; /* all batches whose last entry came later are in the table */
    int64_t started_ms;
};

static void close_batch(struct load *load)
{
    if (load->batch.batch_id >= 0 && !load->skipped)
        dedupe_commit(load->dedupe, &load->batch);
    load->batch.batch_id = -1;
}

/* A batch that was written with more memory than there is now is skipped: what came before it is
 * not known then. */
static void open_batch(struct load *load, const PGresult *r)
{
    int64_t events = pg_get_i64(r, 0, 0);
    struct entry_id last = {.ms = (uint64_t)pg_get_i64(r, 0, 13)};
    int64_t committed_ms = pg_get_time_ms(r, 0, 5);
    close_batch(load);
    load->batch = (struct dedupe_batch){.batch_id = pg_get_i64(r, 0, 3),
                                        .day = (int32_t)pg_get_i64(r, 0, 1),
                                        .epoch = (int32_t)pg_get_i64(r, 0, 2),
                                        .committed_ms = committed_ms,
                                        .entry_ms = entry_id_time_ms(last, committed_ms)};
    load->rows = 0;
    load->skipped = events > dedupe_batch_max(load->dedupe);
    if (!load->skipped)
        dedupe_begin(load->dedupe, (uint32_t)events);
    else if (load->batch.entry_ms > load->since_ms)
        load->since_ms = load->batch.entry_ms;
}

/* A column of a slice; one that is NULL as a whole holds NULLs only. */
static void open_column(struct pg_array_reader *reader, const PGresult *r, int column)
{
    *reader = (struct pg_array_reader){.left = 0};
    if (!PQgetisnull(r, 0, column) &&
        pg_array_read(reader, PQgetvalue(r, 0, column), (size_t)PQgetlength(r, 0, column)) != 0)
        abort();
}

static uint64_t read_u64(struct pg_array_reader *reader)
{
    const unsigned char *data;
    size_t length;
    uint64_t v;
    if (!pg_array_next(reader, &data, &length) || length != sizeof v)
        abort();
    memcpy(&v, data, sizeof v);
    return be64toh(v);
}

static struct text read_optional(struct pg_array_reader *reader)
{
    const unsigned char *data;
    size_t length;
    if (!pg_array_next(reader, &data, &length) || !data)
        return (struct text){.data = NULL};
    return (struct text){.data = (const char *)data, .length = (uint32_t)length};
}

/* Columns of a slice, row by row. Entries are there only if a row has no id of its own. */
struct slice_reader {
    struct text stream;
    struct pg_array_reader tenants, uuids, others, entry_ms, entry_seq, retracts;
    char id[ID_TEXT_MAX];
};

static void open_slice(struct slice_reader *s, const char *stream, const PGresult *r)
{
    s->stream = (struct text){.data = stream, .length = (uint32_t)strlen(stream)};
    open_column(&s->tenants, r, 6);
    open_column(&s->uuids, r, 7);
    open_column(&s->others, r, 8);
    open_column(&s->entry_ms, r, 9);
    open_column(&s->entry_seq, r, 10);
    open_column(&s->retracts, r, 11);
}

/* The id as the event had it, in one of its domains. */
static enum id_domain read_id(struct slice_reader *s, struct text *id)
{
    struct text uuid = read_optional(&s->uuids);
    bool has_entries = s->entry_ms.left > 0;
    uint64_t ms = has_entries ? read_u64(&s->entry_ms) : 0;
    uint64_t seq = has_entries ? read_u64(&s->entry_seq) : 0;
    *id = read_optional(&s->others);
    if (uuid.data) {
        uuid_format((const unsigned char *)uuid.data, s->id);
        *id = (struct text){.data = s->id, .length = UUID_TEXT_SIZE - 1};
    }
    if (read_optional(&s->retracts).data)
        return ID_RETRACT;
    if (id->data)
        return event_id_domain(*id);
    if (!has_entries)
        abort();
    *id = (struct text){.data = s->id, .length = event_default_id(s->id, s->stream, ms, seq)};
    return ID_DEFAULT;
}

/* Before the number of shards changed, a stream held tenants of several of today's shards. */
static bool belongs_here(const struct load *load, struct text tenant)
{
    return load->batch.committed_ms > load->ledger->resharded_ms ||
           str_crc16(tenant.data, tenant.length) % load->ledger->shards == load->shard;
}

/* A key's place in the table is asked for some rows before it is used: it is in no cache. */
struct ahead {
    struct dedupe_hash hash;
    uint32_t row;
};

static void load_slice(struct load *load, const PGresult *r)
{
    struct slice_reader s;
    uint32_t n = 0;
    uint32_t first = load->rows;
    open_slice(&s, PQgetvalue(r, 0, 12), r);
    struct ahead ahead[HASHES_AHEAD];
    struct text tenant;
    struct text id;
    for (; (tenant = read_optional(&s.tenants)).data; load->rows++) {
        struct ahead *key = &ahead[n % HASHES_AHEAD];
        enum id_domain domain = read_id(&s, &id);
        if (!belongs_here(load, tenant)) {
            dedupe_skip(load->dedupe);
            continue;
        }
        if (n++ >= HASHES_AHEAD)
            dedupe_load(load->dedupe, &key->hash, key->row);
        *key = (struct ahead){.hash = dedupe_hash(load->dedupe, domain, tenant, id),
                              .row = load->rows};
        dedupe_prefetch(load->dedupe, &key->hash);
    }
    for (uint32_t i = n > HASHES_AHEAD ? n - HASHES_AHEAD : 0; i < n; i++)
        dedupe_load(load->dedupe, &ahead[i % HASHES_AHEAD].hash, ahead[i % HASHES_AHEAD].row);
    load->batch.slice_counts[pg_get_i64(r, 0, 4)] += load->rows - first;
    load->keys += n;
}

static void on_slice(void *owner, const PGresult *row)
{
    struct load *load = owner;
    if (load->batch.batch_id != pg_get_i64(row, 0, 3))
        open_batch(load, row);
    if (!load->skipped)
        load_slice(load, row);
}

static void on_loaded(void *owner, const struct err *error, PGresult **results, int n)
{
    struct load *load = owner;
    struct ledger *l = load->ledger;
    (void)results;
    (void)n;
    close_batch(load);
    if (!error) {
        dedupe_set_since(load->dedupe, load->since_ms);
        log_info(dedupe_window_rebuilt, LOG_STR("stream", l->stream), LOG_U64("keys", load->keys),
                 LOG_I64("elapsed_ms", clock_monotonic_ms() - load->started_ms));
    }
    free(load);
    ledger_finish(l, error);
}

void ledger_load_window(struct ledger *l, struct dedupe *dedupe, int shard, struct window_span span,
                        ledger_done_fn done, void *owner)
{
    struct load *load = xcalloc(1, sizeof *load);
    int64_t from_ms = span.reading_ms - span.window_ms - DEDUPE_SLACK_MS;
    if (from_ms < 0)
        from_ms = 0;
    ledger_start(l, done, owner, load);
    *load = (struct load){.ledger = l,
                          .dedupe = dedupe,
                          .shard = shard,
                          .batch.batch_id = -1,
                          .since_ms = from_ms - 1,
                          .started_ms = clock_monotonic_ms()};
    dedupe_read_from(dedupe, span.reading_ms);
    struct pg_statement s;
    pg_statement_init(&s, SQL_READ_WINDOW);
    pg_add_text(&s, l->stream);
    unsigned char numbers[3][8];
    pg_add_i64(&s, l->now_ms - span.window_ms, numbers[0]);
    pg_add_i64(&s, l->resharded_ms, numbers[1]);
    pg_add_i64(&s, from_ms, numbers[2]);
    s.binary_result = true;
    pg_stream(l->pg, &s, WINDOW_DEADLINE_MS, on_slice, on_loaded, load);
}
