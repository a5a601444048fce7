#include "aggregator/batch/event_id.h"

#include "aggregator/stream/entry_id.h"
#include "common/contract.h"

/* Decimal digits of the value, without a NUL. Returns where they end. */
static char *write_u64(char *at, uint64_t value)
{
    char digits[20];
    int count = 0;

    do {
        digits[count++] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    while (count > 0)
        *at++ = digits[--count];
    return at;
}

uint32_t event_default_id(char *out, struct text stream, uint64_t ms, uint64_t seq)
{
    char *at = out;

    memcpy(at, stream.data, stream.length);
    at += stream.length;
    *at++ = '/';
    at = write_u64(at, ms);
    *at++ = '-';
    at = write_u64(at, seq);
    return (uint32_t)(at - out);
}

/* What follows the decimal digits at the text's beginning, which have no leading zero; NULL data if
 * there are none. */
static struct text after_number(struct text t)
{
    uint32_t n = 0;

    while (n < t.length && t.data[n] >= '0' && t.data[n] <= '9')
        n++;
    if (n == 0 || (n > 1 && t.data[0] == '0'))
        return (struct text){.data = NULL};
    return (struct text){.data = t.data + n, .length = t.length - n};
}

/* What follows the prefix; NULL data if the text has another one. */
static struct text after(struct text t, struct text prefix)
{
    if (t.data == NULL || t.length < prefix.length ||
        memcmp(t.data, prefix.data, prefix.length) != 0)
        return (struct text){.data = NULL};
    return (struct text){.data = t.data + prefix.length, .length = t.length - prefix.length};
}

/* What follows "{<shard>}", if it begins like that. */
static struct text after_shard(struct text t)
{
    struct text number = after(t, TEXT(":{"));

    if (number.data == NULL)
        return t;
    return after(after_number(number), TEXT("}"));
}

enum id_domain event_id_domain(struct text id)
{
    struct text rest = after(id, TEXT(STREAM_KEY));
    struct text sequence;
    struct entry_id entry;

    if (rest.data == NULL)
        return ID_GIVEN;
    rest = after(after_shard(rest), TEXT("/"));
    if (rest.data == NULL || entry_id_parse_bytes(rest.data, rest.length, &entry) != 0)
        return ID_GIVEN;
    sequence = after(after_number(rest), TEXT("-"));
    return sequence.data != NULL && after_number(sequence).data != NULL ? ID_DEFAULT : ID_GIVEN;
}
