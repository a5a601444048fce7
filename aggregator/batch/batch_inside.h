/* For the files of batch.h only. */
#ifndef METERLINE_BATCH_INSIDE_H
#define METERLINE_BATCH_INSIDE_H

#include "aggregator/batch/batch.h"

#include <stddef.h>

/* Room for one more element of a growing list. */
void *batch_grow(void *list, uint32_t count, uint32_t *capacity, size_t size);
struct rejection *batch_add_rejection(struct batch *b, uint32_t entry, const char *reason);

/* The item with the same key that was counted before in this batch, or NULL. first: see struct
 * item, or -1. */
const struct item *batch_counted_first(const struct batch *b, int64_t first);
void batch_note_duplicate(struct batch *b, const struct item *item);
/* The item is counted. Later ones with its key are judged by it. */
void batch_take_key(struct batch *b, uint32_t number);

/* batch_retract.c */

/* A retraction was parsed: what its target's keys may be. */
void retraction_open(struct batch *b, struct item *item);
/* A stored row of the same tenant: the retraction itself, its target, or neither. */
void retraction_confirm(struct batch *b, uint32_t number, const struct stored_row *row);
/* Decide its fate, in the order of arrival. */
void retraction_settle(struct batch *b, uint32_t number);

#endif
