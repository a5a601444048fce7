#include "aggregator/batch/reject.h"

#include "aggregator/batch/json_text.h"
#include "common/contract.h"

#include <inttypes.h>

#define TAIL_BYTES   64U /* for ,{"truncated_bytes":N}] */
#define BODY_BYTES   (REJECTED_FIELDS_MAX_BYTES - TAIL_BYTES)
#define BASE64_OPEN  "{\"base64\":\""
#define BASE64_CLOSE "\"}"

/* A string of the entry, and how it is shown. */
struct shown {
    struct text text;
    bool plain;      /* as it is */
    bool utf8;       /* as a JSON string; else as base64 */
    size_t overhead; /* bytes around it */
};

static struct shown show(struct text text)
{
    bool plain = text_is_plain(text);
    bool utf8 = plain || str_is_utf8(text.data, text.length);
    return (struct shown){
        .text = text,
        .plain = plain,
        .utf8 = utf8,
        .overhead = utf8 ? 2 : strlen(BASE64_OPEN BASE64_CLOSE),
    };
}

/* Bytes that all of it takes, with what is around it. */
static size_t shown_size(const struct shown *s)
{
    if (!s->utf8)
        return s->overhead + (s->text.length + 2UL) / 3 * 4;
    return s->overhead + (s->plain ? s->text.length : json_text_size(s->text));
}

/* Bytes of the text that can be shown within room: all of it, or a part that ends well. */
static uint32_t shown_fit(const struct shown *s, size_t room)
{
    if (shown_size(s) <= room)
        return s->text.length;
    room -= s->overhead;
    return s->utf8 ? json_text_fit(s->text, room) : (uint32_t)(room / 4 * 3);
}

static void add_shown(struct buf *out, const struct shown *s, uint32_t length)
{
    if (s->utf8) {
        buf_add_json_str(out, s->text.data, length);
        return;
    }
    buf_add_str(out, BASE64_OPEN);
    buf_add_base64(out, s->text.data, length);
    buf_add_str(out, BASE64_CLOSE);
}

/* Add [name, value] within room. Returns the bytes of the two that were kept; cut tells whether
 * something was left out. */
static uint32_t add_field(struct buf *out, struct text name, struct text value, size_t room,
                          bool *cut)
{
    struct shown n = show(name);
    struct shown v = show(value);
    size_t fixed = strlen("[,],") + shown_size(&n);
    *cut = true;
    if (fixed + v.overhead > room)
        return 0;
    uint32_t fit = shown_fit(&v, room - fixed);
    buf_add_char(out, '[');
    add_shown(out, &n, name.length);
    buf_add_char(out, ',');
    add_shown(out, &v, fit);
    buf_add_str(out, "],");
    *cut = fit < value.length;
    return name.length + fit;
}

void reject_fields_json(const struct entries *entries, uint32_t index, struct buf *out)
{
    const struct text *strings = entries_fields(entries, index);
    const struct entry *entry = &entries->list[index];
    size_t start = out->length;
    uint32_t kept = 0;
    bool cut = false;
    buf_add_char(out, '[');
    for (uint32_t i = 0; i < entry->fields && !cut; i += 2)
        kept +=
            add_field(out, strings[i], strings[i + 1], BODY_BYTES - (out->length - start), &cut);
    if (cut)
        buf_printf(out, "{\"truncated_bytes\":%" PRIu32 "},", entry->bytes - kept);
    if (out->length > start + 1)
        out->length--; /* the last comma */
    buf_add_char(out, ']');
}
