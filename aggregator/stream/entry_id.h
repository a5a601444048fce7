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
/* The id in a text that this program wrote: aborts if it is none. */
struct entry_id entry_id_of(const char *text);
int entry_id_parse_bytes(const char *data, size_t length, struct entry_id *out);
void entry_id_format(struct entry_id id, char out[ENTRY_ID_TEXT_SIZE]);
int entry_id_compare(struct entry_id a, struct entry_id b); /* -1, 0, 1 */
/* Half an id as the ledger orders by it: cut to 63 bits. No real time needs more. */
int64_t entry_id_bits(uint64_t half);
/* Somebody numbers the entries himself if their ids are older than streams are: 2018 UTC, Unix ms.
 * The ledger's entry_time has the same. */
#define ENTRY_TIME_MIN_MS 1514764800000ULL
bool entry_id_tells_time(struct entry_id id);
/* The time that an entry was added at, Unix ms, as far as its id is to be believed: at most a day
 * ahead of now_ms; and now_ms if it tells none. */
int64_t entry_id_time_ms(struct entry_id id, int64_t now_ms);
/* The least id above this one; of the greatest there is, itself. */
struct entry_id entry_id_next(struct entry_id id);

#endif
