#include "aggregator/ledger/ledger.h"

#include "common/contract.h"

#include <assert.h>

void ledger_init(struct ledger *l, struct pg *pg, const char *stream, const char *owner)
{
    *l = (struct ledger){.pg = pg, .stream = stream, .owner = owner, .catalog_version = -1};
    for (size_t i = 0; i < sizeof l->arrays / sizeof *l->arrays; i++)
        pg_array_init(&l->arrays[i], PG_TEXT);
    minute_columns_init(&l->minutes);
}

void ledger_done(struct ledger *l)
{
    for (size_t i = 0; i < sizeof l->arrays / sizeof *l->arrays; i++)
        pg_array_done(&l->arrays[i]);
    minute_columns_done(&l->minutes);
    catalog_free(l->catalog);
    buf_done(&l->scratch);
    buf_done(&l->ended_tokens);
}

void ledger_start(struct ledger *l, ledger_done_fn done, void *owner, void *work)
{
    assert(l->done == NULL);
    l->done = done;
    l->done_owner = owner;
    l->work = work;
}

/* Half a transaction must never see its Sync: it would be committed. */
void ledger_forget_batch(struct ledger *l)
{
    l->work = NULL;
    if (l->giving)
        pg_reset(l->pg);
    l->giving = false;
}

void ledger_finish(struct ledger *l, const struct err *error)
{
    ledger_done_fn done = l->done;
    struct err copy;

    /* The callback may start the next call, which may overwrite what error points at. */
    if (error != NULL) {
        copy = *error;
        if (strcmp(copy.sqlstate, SQLSTATE_FENCED) == 0)
            copy.kind = ERR_FENCED;
        error = &copy;
    }
    l->done = NULL;
    l->giving = false;
    done(l->done_owner, error);
}
