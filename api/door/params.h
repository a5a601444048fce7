/* Checks what a request gave against the table of its route. Pure: no loop, no clock. */
#ifndef METERLINE_API_PARAMS_H
#define METERLINE_API_PARAMS_H

#include "api/door/target.h"
#include "api/request.h"

/* What is wrong with a request. */
struct params_fault {
    int status;
    const char *code; /* static */
    char param[128];  /* such as "items[2].price"; "": none */
    char message[200];
};
int params_set_fault(struct params_fault *f, int status, const char *code, const char *param,
                     const char *format, ...) __attribute__((format(printf, 5, 6)));

enum { PARAMS_DEPTH_MAX = 16 };

/* The body of a request as JSON: UTF-8, no name twice in an object, no deeper than
 * PARAMS_DEPTH_MAX. Returns the value, or NULL with f. */
json_t *params_load_body(const char *text, size_t length, struct params_fault *f);

/* Each value of the route's parameters into values, in the order of its table; texts are borrowed
 * from target, body and header (which returns a header or NULL). body: NULL if there is none.
 * Returns 0, or -1 with f. */
typedef const char *(*params_header_fn)(void *owner, const char *name);
int params_check(const struct api_route *route, const struct target *target, json_t *body,
                 params_header_fn header, void *owner, struct api_value *values,
                 struct params_fault *f);

/* How many parameters a route has. */
int params_count(const struct api_route *route);

/* A point in time, as RFC 3339 writes it, with a day that there is, 1970 to 9999 in UTC. */
bool params_is_time(const char *text);

#endif
