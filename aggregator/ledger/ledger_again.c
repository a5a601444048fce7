/* What became of entries that are read again. Most were counted: that is asked first, and of the
 * others, whether they were rejected or repeats. Whatever is not found was never read. */
#include "aggregator/ledger/ledger.h"

#include "aggregator/sql.h"
#include "aggregator/stream/entries.h"

#include <stdlib.h>

enum { AGAIN_DEADLINE_MS = 600000 };

static struct text column(const PGresult *r, int i)
{
    if (PQgetisnull(r, 0, i))
        return (struct text){.data = NULL};
    return (struct text){.data = PQgetvalue(r, 0, i), .length = (uint32_t)PQgetlength(r, 0, i)};
}

/* A row of read_counted_again.sql. */
static struct stored_row read_row(const PGresult *r)
{
    struct text quantity = column(r, 6);
    struct stored_row row = {.tenant = column(r, 0),
                             .metric = column(r, 1),
                             .id = column(r, PQgetisnull(r, 0, 2) ? 3 : 2),
                             .ms = (uint64_t)strtoll(PQgetvalue(r, 0, 4), NULL, 10),
                             .seq = (uint64_t)strtoll(PQgetvalue(r, 0, 5), NULL, 10),
                             .fields = column(r, 7),
                             .occurred_ms = strtoll(PQgetvalue(r, 0, 8), NULL, 10),
                             .retracts = atoi(PQgetvalue(r, 0, 9)),
                             .by_default = *PQgetvalue(r, 0, 10) == 't'};

    if (dec_parse(quantity.data, quantity.length, &row.quantity) != 0)
        abort();
    if (row.fields.data == NULL)
        row.fields = TEXT("{}");
    return row;
}

static void on_counted(void *owner, const PGresult *r)
{
    struct ledger *l = owner;
    struct batch *b = l->work;
    struct stored_row row;
    int64_t entry;

    if (b == NULL)
        return;
    row = read_row(r);
    entry = batch_find_entry(b, (struct entry_id){.ms = row.ms, .seq = row.seq});
    if (entry >= 0 && batch_is_row(b, (uint32_t)entry, &row))
        batch_note_again(b, (uint32_t)entry);
}

static void take_content(struct batch *b, struct entry_id id, const char *content)
{
    int64_t entry = batch_find_entry(b, id);

    if (entry >= 0 && strtoll(content, NULL, 10) == entry_content(b->entries, (uint32_t)entry))
        batch_note_again(b, (uint32_t)entry);
}

static void take_others(void *owner, const struct err *error, PGresult **results, int n)
{
    struct ledger *l = owner;
    struct batch *b = l->work;
    struct entry_id id;

    (void)n;
    if (error != NULL || b == NULL) {
        ledger_finish(l, error);
        return;
    }
    for (int row = 0; row < PQntuples(results[0]); row++) {
        id.ms = (uint64_t)strtoll(PQgetvalue(results[0], row, 0), NULL, 10);
        id.seq = (uint64_t)strtoll(PQgetvalue(results[0], row, 1), NULL, 10);
        take_content(b, id, PQgetvalue(results[0], row, 2));
    }
    for (int row = 0; row < PQntuples(results[1]); row++)
        if (entry_id_parse(PQgetvalue(results[1], row, 0), &id) == 0)
            take_content(b, id, PQgetvalue(results[1], row, 1));
    ledger_finish(l, NULL);
}

/* First and last of the entries that may have been read before. */
static void bind_range(struct pg_statement *s, const struct ledger *l, const struct batch *b,
                       unsigned char numbers[2][8])
{
    const struct entry *first = &b->entries->list[b->from];

    pg_add_text(s, l->stream);
    pg_add_i64(s, entry_id_bits(first->ms), numbers[0]);
    pg_add_i64(s, entry_id_bits(first[batch_again_count(b) - 1].ms), numbers[1]);
}

static void list_unknown(struct ledger *l, const struct batch *b)
{
    uint32_t end = b->from + batch_again_count(b);
    char text[ENTRY_ID_TEXT_SIZE];

    pg_array_done(&l->arrays[0]);
    pg_array_init(&l->arrays[0], PG_TEXT);
    for (uint32_t i = b->from; i < end; i++) {
        const struct entry *entry = &b->entries->list[i];

        if (batch_is_again(b, i))
            continue;
        entry_id_format((struct entry_id){.ms = entry->ms, .seq = entry->seq}, text);
        pg_array_add_text(&l->arrays[0], text);
    }
}

static void run_others(struct ledger *l)
{
    const struct batch *b = l->work;
    struct pg_statement s[2];
    unsigned char numbers[2][8];

    pg_statement_init(&s[0], SQL_READ_REPEATED_AGAIN);
    bind_range(&s[0], l, b, numbers);
    list_unknown(l, b);
    pg_statement_init(&s[1], SQL_READ_REJECTED_AGAIN);
    pg_add_text(&s[1], l->stream);
    pg_add_array(&s[1], &l->arrays[0]);
    pg_run(l->pg, s, 2, AGAIN_DEADLINE_MS, take_others, l);
}

static void take_counted(void *owner, const struct err *error, PGresult **results, int n)
{
    struct ledger *l = owner;
    const struct batch *b = l->work;

    (void)results;
    (void)n;
    if (error == NULL && b != NULL && b->again_count < batch_again_count(b))
        run_others(l);
    else
        ledger_finish(l, error);
}

void ledger_find_again(struct ledger *l, struct batch *b, ledger_done_fn done, void *owner)
{
    struct pg_statement s;
    unsigned char numbers[2][8];

    ledger_start(l, done, owner, b);
    pg_statement_init(&s, SQL_READ_COUNTED_AGAIN);
    bind_range(&s, l, b, numbers);
    pg_stream(l->pg, &s, AGAIN_DEADLINE_MS, on_counted, take_counted, l);
}
