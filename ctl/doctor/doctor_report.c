/* Lines of `meterctl doctor`, kept and printed. */
#include "ctl/doctor/doctor.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char *const VERDICTS[] = {
    [DOCTOR_OK] = "ok", [DOCTOR_WARN] = "warn", [DOCTOR_BAD] = "BAD"};

void doctor_say(struct doctor *d, enum doctor_verdict verdict, const char *check,
                const char *format, ...)
{
    char text[1000];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    d->bad += verdict == DOCTOR_BAD;
    json_t *row = json_object();
    json_object_set_new(row, "result", json_string(VERDICTS[verdict]));
    json_object_set_new(row, "check", json_string(check));
    json_object_set_new(row, "msg", json_stringn_nocheck(text, strlen(text)));
    json_array_append_new(d->rows, row);
}

static const char *text_of(const json_t *row, const char *name)
{
    return json_string_value(json_object_get(row, name));
}

void doctor_print(const struct doctor *d)
{
    size_t i;
    json_t *row;
    json_array_foreach(d->rows, i, row)
    {
        printf("%-5s %-18s %s\n", text_of(row, "result"), text_of(row, "check"),
               text_of(row, "msg"));
    }
    if (d->bad > 0)
        printf("\n%d BAD\n", d->bad);
    else
        puts("\neverything is in order");
}
