/* A question whose answer may come after the life of the machine that asked it. */
#ifndef METERLINE_ERRAND_H
#define METERLINE_ERRAND_H

#include <stdint.h>

/* life: a number of the owner's that rises with each of its lives. Owner and number must be there
 * until the answer comes. */
struct errand *errand_new(void *owner, const uint64_t *life);
/* Once, when the answer is here: the owner; NULL if it is of a life before, and for nobody. */
void *errand_take(struct errand *e);

#endif
