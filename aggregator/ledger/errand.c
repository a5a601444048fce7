#include "aggregator/ledger/errand.h"

#include "common/str.h"

#include <stdlib.h>

struct errand {
    void *owner;
    const uint64_t *life;
    uint64_t asked_in;
};

struct errand *errand_new(void *owner, const uint64_t *life)
{
    struct errand *e = xcalloc(1, sizeof *e);

    *e = (struct errand){.owner = owner, .life = life, .asked_in = *life};
    return e;
}

void *errand_take(struct errand *e)
{
    void *owner = *e->life == e->asked_in ? e->owner : NULL;

    free(e);
    return owner;
}
