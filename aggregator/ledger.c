#include "aggregator/ledger.h"

#include "common/contract.h"

#include <assert.h>
#include <sodium.h>
#include <stdio.h>
#include <unistd.h>

/* Who we are in stream_positions: the process and 64 random bits, so that a restart is somebody
 * else. */
static void name_owner(char out[OWNER_SIZE])
{
    unsigned char random[8];
    char hex[2 * sizeof random + 1];

    randombytes_buf(random, sizeof random);
    sodium_bin2hex(hex, sizeof hex, random, sizeof random);
    snprintf(out, OWNER_SIZE, "%d-%s", (int)getpid(), hex);
}

void ledger_init(struct ledger *l, struct pg *pg, const char *stream, const unsigned char key[16])
{
    *l = (struct ledger){.pg = pg, .stream = stream, .catalog_version = -1};
    name_owner(l->owner);
    l->periods = periods_new(key);
    totals_init(&l->totals);
    for (size_t i = 0; i < sizeof l->arrays / sizeof *l->arrays; i++)
        pg_array_init(&l->arrays[i], PG_TEXT);
}

void ledger_done(struct ledger *l)
{
    for (size_t i = 0; i < sizeof l->arrays / sizeof *l->arrays; i++)
        pg_array_done(&l->arrays[i]);
    totals_done(&l->totals);
    periods_free(l->periods);
    catalog_free(l->catalog);
    buf_done(&l->scratch);
}

void ledger_start(struct ledger *l, ledger_done_fn done, void *owner, void *work)
{
    assert(l->done == NULL);
    l->done = done;
    l->done_owner = owner;
    l->work = work;
}

void ledger_forget_batch(struct ledger *l)
{
    l->work = NULL;
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
    done(l->done_owner, error);
}
