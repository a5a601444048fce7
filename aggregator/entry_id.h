/* Redis entry ids: "<ms>-<seq>", two unsigned 64-bit halves. */
#ifndef METERLINE_ENTRY_ID_H
#define METERLINE_ENTRY_ID_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct entry_id {
    uint64_t ms;
    uint64_t seq;
};

enum { ENTRY_ID_TEXT_SIZE = 48 };

/* Returns 0, or -1 if text is no id. */
int entry_id_parse(const char *text, struct entry_id *out);
int entry_id_parse_bytes(const char *data, size_t length, struct entry_id *out);
void entry_id_format(struct entry_id id, char out[ENTRY_ID_TEXT_SIZE]);
int entry_id_compare(struct entry_id a, struct entry_id b); /* -1, 0, 1 */
/* The least id above this one; of the greatest there is, itself. */
struct entry_id entry_id_next(struct entry_id id);

#endif
