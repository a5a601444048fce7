/* Rebuilding the deduplication table from the stored batches, a slice a row, as they arrive. */
#include "aggregator/ledger.h"

#include "aggregator/sql.h"
#include "common/clock.h"
#include "common/log.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum { WINDOW_DEADLINE_MS = 600000, ID_TEXT_MAX = 512 };

struct load {
    struct ledger *ledger;
    struct dedupe *dedupe;
    struct dedupe_batch batch; /* being loaded; batch_id -1: none */
    bool skipped;              /* it is more than the table can hold */
    uint32_t rows;             /* of it, loaded so far */
    uint64_t keys;
    int64_t since_ms; /* all batches from then on are in the table */
    int64_t started_ms;
};

static void close_batch(struct load *load)
{
    if (load->batch.batch_id >= 0 && !load->skipped)
        dedupe_commit(load->dedupe, &load->batch);
    load->batch.batch_id = -1;
}

/* A batch that was written with more memory than there is now: what came before it is not known
 * then. */
static void skip_batch(struct load *load)
{
    load->skipped = true;
    load->since_ms = load->batch.committed_ms + 1;
}

static void open_batch(struct load *load, const PGresult *r)
{
    int64_t events = pg_get_i64(r, 0, 0);

    close_batch(load);
    load->batch = (struct dedupe_batch){.batch_id = pg_get_i64(r, 0, 3),
                                        .day = (int32_t)pg_get_i64(r, 0, 1),
                                        .epoch = (int32_t)pg_get_i64(r, 0, 2),
                                        .committed_ms = pg_get_time_ms(r, 0, 5)};
    load->rows = 0;
    load->skipped = false;
    if (events > dedupe_batch_max(load->dedupe))
        skip_batch(load);
    else
        dedupe_begin(load->dedupe, (uint32_t)events);
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
    uint64_t v = 0;

    if (!pg_array_next(reader, &data, &length) || length != 8)
        abort();
    for (int i = 0; i < 8; i++)
        v = v << 8 | data[i];
    return v;
}

static struct text read_optional(struct pg_array_reader *reader)
{
    const unsigned char *data;
    size_t length;

    if (!pg_array_next(reader, &data, &length) || data == NULL)
        return (struct text){.data = NULL};
    return (struct text){.data = (const char *)data, .length = (uint32_t)length};
}

/* The id as the event had it, in one of its domains. */
static enum id_domain stored_id(const struct load *load, struct text uuid, struct text other,
                                uint64_t ms, uint64_t seq, char space[ID_TEXT_MAX], struct text *id)
{
    *id = (struct text){.data = space};
    if (uuid.data != NULL) {
        uuid_format((const unsigned char *)uuid.data, space);
        id->length = UUID_TEXT_SIZE - 1;
        return ID_GIVEN;
    }
    if (other.data != NULL) {
        *id = other;
        return ID_GIVEN;
    }
    id->length = (uint32_t)snprintf(space, ID_TEXT_MAX, "%s/%llu-%llu", load->ledger->stream,
                                    (unsigned long long)ms, (unsigned long long)seq);
    return ID_DEFAULT;
}

static void load_slice(struct load *load, const PGresult *r)
{
    struct pg_array_reader tenants, uuids, others, entry_ms, entry_seq;
    struct text tenant;
    char space[ID_TEXT_MAX];

    open_column(&tenants, r, 6);
    open_column(&uuids, r, 7);
    open_column(&others, r, 8);
    open_column(&entry_ms, r, 9);
    open_column(&entry_seq, r, 10);
    while ((tenant = read_optional(&tenants)).data != NULL) {
        struct text uuid = read_optional(&uuids);
        struct text other = read_optional(&others);
        uint64_t ms = read_u64(&entry_ms);
        uint64_t seq = read_u64(&entry_seq);
        struct text id;
        enum id_domain domain = stored_id(load, uuid, other, ms, seq, space, &id);
        struct dedupe_hash hash = dedupe_hash(load->dedupe, domain, tenant, id);

        dedupe_load(load->dedupe, &hash, load->rows++);
        load->batch.slice_counts[pg_get_i64(r, 0, 4)]++;
        load->keys++;
    }
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
    if (error == NULL) {
        dedupe_set_since(load->dedupe, load->since_ms);
        log_info("window_rebuilt", LOG_STR("stream", l->stream), LOG_U64("keys", load->keys),
                 LOG_I64("elapsed_ms", clock_monotonic_ms() - load->started_ms));
    }
    free(load);
    ledger_finish(l, error);
}

void ledger_load_window(struct ledger *l, struct dedupe *dedupe, int64_t window_ms,
                        ledger_done_fn done, void *owner)
{
    struct load *load = xcalloc(1, sizeof *load);
    struct pg_statement s;
    char window[24];

    ledger_start(l, done, owner, load);
    *load = (struct load){.ledger = l,
                          .dedupe = dedupe,
                          .batch.batch_id = -1,
                          .since_ms = l->now_ms - window_ms,
                          .started_ms = clock_monotonic_ms()};
    snprintf(window, sizeof window, "%lld", (long long)window_ms);
    pg_statement_init(&s, SQL_READ_WINDOW);
    pg_add_text(&s, l->stream);
    pg_add_text(&s, window);
    s.binary_result = true;
    pg_stream(l->pg, &s, WINDOW_DEADLINE_MS, on_slice, on_loaded, load);
}
