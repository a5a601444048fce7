/* JSON of names and values. Equal texts give equal bytes, by which two copies of an event are
 * compared: characters are escaped only where RFC 8259 requires it, in the short form if there is
 * one. */
#ifndef METERLINE_JSON_TEXT_H
#define METERLINE_JSON_TEXT_H

#include "aggregator/stream/arena.h"
#include "aggregator/stream/text.h"

#include <stdbool.h>
#include <stddef.h>

/* Printable ASCII without quote and backslash: UTF-8 without controls that JSON takes as it is. */
bool text_is_plain(struct text t);

/* Bytes of the text in JSON, without its quotes. */
size_t json_text_size(struct text t);
/* Write them (UTF-8 without NUL; the caller has the room) and return where they end. */
char *json_text_write(char *at, struct text t);
/* How many leading bytes of the text take at most room bytes in JSON, whole characters only. */
uint32_t json_text_fit(struct text t, size_t room);

struct dimension {
    struct text name; /* [a-z0-9_]{1,64} */
    struct text value;
};

/* {"name":"value",…} in the order given, "{}" for none. plain: text_is_plain of every value. */
struct text json_text_object(struct arena *arena, const struct dimension *dimensions, int count,
                             bool plain);

#endif
