/* Limits that change between two events, by whatever hand: a tenant's own, or the catalog. */
#ifndef METERLINE_CHANGES_H
#define METERLINE_CHANGES_H

#include <stdbool.h>

struct context;
struct healer;
struct limits;
struct changes;

/* All borrowed for its life. */
struct changes *changes_open(const struct context *context, struct limits *limits,
                             struct healer *healer);
/* Nothing is in flight. */
bool changes_are_idle(const struct changes *c);
void changes_close(struct changes *c);

#endif
