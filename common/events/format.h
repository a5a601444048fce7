/* The forms in which a request may bring events. Each function reads a whole body and gives every
 * event of it to take, valid or not. Pure.
 *
 * They return 0, or -1 with e: the body as such cannot be read, and nothing of it was given. */
#ifndef METERLINE_FORMAT_H
#define METERLINE_FORMAT_H

#include "common/err.h"
#include "common/events/event_line.h"

#include <jansson.h>

enum { FORMAT_NUMBERS = EVENT_KNOWN + DIMENSIONS_MAX, FORMAT_NUMBER_SIZE = 24 };

/* Zero-initialise; used again for every body. */
struct format {
    int64_t now_ms;                     /* Unix, for the bounds of ts */
    const struct metric_names *metrics; /* the allowed ones; NULL: any */
    struct slice tenant;                /* of events that name none; empty: there is none */
    bool is_bound;                      /* to that tenant: no event may name another one */
    /* event: NULL if it was refused, for the reason why. Valid until it returns. */
    void (*take)(void *owner, const struct event_line *event, const char *why);
    void *owner;
    struct event_line event; /* the one being read */
    char numbers[FORMAT_NUMBERS][FORMAT_NUMBER_SIZE];
    int numbers_count;
};

void format_done(struct format *f);

/* One object, or an array of objects. */
int format_json(struct format *f, const char *body, size_t length, struct err *e);
/* An object a line; empty lines are skipped. */
int format_lines(struct format *f, const char *body, size_t length, struct err *e);
/* CSV: the first line names the fields. map: "foreign=ours,foreign=ours", or NULL. */
int format_csv(struct format *f, const char *body, size_t length, const char *map, struct err *e);

/* For those who make an event of something else: begin, give its fields to f->event, then end. */
void format_begin(struct format *f);
/* A field by its name in the stream: text, or a number for quantity and ts. A null is no field.
 * Returns 0, or -1 with f->event.why. */
int format_give(struct format *f, const char *name, const json_t *value);
int format_give_number(struct format *f, enum event_known known, int64_t value);
/* failed: what was given is no event, for f->event.why. */
void format_end(struct format *f, int failed);

#endif
