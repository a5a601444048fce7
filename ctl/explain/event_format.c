#include "ctl/explain/event_format.h"

#include <string.h>

void event_format_ndjson(struct buf *out, const struct event_column *columns, int count,
                         const char *const *values)
{
    for (int i = 0; i < count; i++) {
        buf_printf(out, "%s\"%s\":", i == 0 ? "{" : ",", columns[i].name);
        if (columns[i].is_json)
            buf_add_str(out, values[i]);
        else
            buf_add_json_str(out, values[i], strlen(values[i]));
    }
    buf_add_str(out, "}\n");
}

static void add_csv_field(struct buf *out, const char *text)
{
    if (!strpbrk(text, ",\"\r\n")) {
        buf_add_str(out, text);
        return;
    }
    buf_add_char(out, '"');
    for (; *text; text++) {
        if (*text == '"')
            buf_add_char(out, '"');
        buf_add_char(out, *text);
    }
    buf_add_char(out, '"');
}

void event_format_csv(struct buf *out, int count, const char *const *values)
{
    for (int i = 0; i < count; i++) {
        if (i > 0)
            buf_add_char(out, ',');
        add_csv_field(out, values[i]);
    }
    buf_add_str(out, "\r\n");
}
