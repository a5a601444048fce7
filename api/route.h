/* What a route is. Each wing of the stage has a table of its routes, and route_table.c lists the
 * wings. Of these tables the router, the checks of parameters, GET /api/openapi.json and
 * docs/api.md are made, so that they cannot differ. README.md tells how a route is added. */
#ifndef METERLINE_API_ROUTE_H
#define METERLINE_API_ROUTE_H

#include <stdbool.h>
#include <stdint.h>

struct api_request;

/* Whoever may less cannot call it. */
enum api_role { API_PUBLIC, API_VIEWER, API_EDITOR, API_ADMIN };

enum api_scope {
    API_OF_TENANT, /* the key's tenant, or that of X-Tenant-Id: r->tenant */
    API_OF_FLEET   /* all tenants: only for keys that are bound to none */
};

enum api_place { API_END, API_PATH, API_QUERY, API_BODY, API_HEADER };

enum api_type {
    API_TEXT,    /* UTF-8 of min to max bytes, without control characters */
    API_NAME,    /* of a metric, plan or dimension: [a-z0-9_]{1,64} */
    API_WHOLE,   /* a whole number of min to max */
    API_DECIMAL, /* a text: -?[0-9]{1,18}(\.[0-9]{1,9})?; with min 0 not below 0 */
    API_TIME,    /* RFC 3339 */
    API_BOOL,
    API_CHOICE, /* one of choices */
    API_OBJECT, /* of fields; without fields: any names */
    API_LIST,   /* min to max items: each of the one field that is called "", or an object of fields
                 */
    API_MONEY,  /* {"amount_minor", "currency"} */
    API_ANY     /* any JSON (answers alone) */
};

/* One parameter, or one field of an object in the body. Ends in API_PARAMS_END. */
struct api_param {
    enum api_place place; /* of a field within an object: API_BODY */
    const char *name;     /* of a header: as it is written, such as "X-Reason" */
    enum api_type type;
    bool required;
    bool nullable; /* in the body: null is allowed, and differs from leaving it out */
    int64_t min;
    int64_t max;
    const char *const *choices; /* ends in NULL */
    const struct api_param *fields;
    const char *fallback; /* in a query or body: what leaving it out means; NULL: nothing */
    const char *what;     /* one line */
};

/* One field of an answer. Ends in one without a name; "" is the item of a list. */
struct api_field {
    const char *name;
    enum api_type type;
    bool nullable;
    bool optional;              /* may be left out */
    const char *const *choices; /* of API_CHOICE */
    const struct api_field *fields;
    const char *what;
};

enum api_flags {
    API_IS_LIST = 1,      /* the answer is {"data": [of these fields], "has_more": …} */
    API_IS_RAW = 2,       /* the handler reads the body by itself: content types in takes */
    API_IS_STREAM = 4,    /* the answer is of content type gives, not JSON */
    API_IS_RESUMED = 8,   /* kept in api_requests also without an Idempotency-Key */
    API_ASKS_STRIPE = 16, /* may answer 402 and 502 */
    API_IS_NO_CHANGE = 32 /* a POST or PUT that changes nothing of ours: no history */
};

struct api_route {
    const char *method; /* GET, POST, PUT, DELETE; NULL ends a table */
    const char *path;   /* "/api/billing/usage/{metric}" */
    const char *what;   /* one line for the documents */
    const char *detail; /* more of it, or NULL */
    const char *lost;   /* with api_tell_once: what to do if the answer was lost; else NULL */
    enum api_role role;
    enum api_scope scope;
    unsigned flags;
    const char *history;            /* kind of the row in billing_history; of changes */
    const struct api_param *params; /* NULL: none */
    const struct api_field *answer; /* NULL: no JSON */
    const char *const *takes;       /* API_IS_RAW: content types, ends in NULL */
    const char *gives;              /* API_IS_STREAM: content type */
    int64_t body_max_kb;            /* 0: 64 */
    int statuses[4];                /* that it may answer beside 200 and those of all routes */
    void (*handle)(struct api_request *r);
};

#define API_PARAMS_END                                                                             \
    {                                                                                              \
        .place = API_END                                                                           \
    }
#define API_FIELDS_END                                                                             \
    {                                                                                              \
        .name = (const char *)0                                                                    \
    }

/* Of lists. Rows come newest first, or as the route says; starting_after is the id of the last one.
 */
#define API_LIST_PARAMS                                                                            \
    {.place = API_QUERY,                                                                           \
     .name = "limit",                                                                              \
     .type = API_WHOLE,                                                                            \
     .min = 1,                                                                                     \
     .max = 100,                                                                                   \
     .fallback = "20",                                                                             \
     .what = "how many rows"},                                                                     \
    {                                                                                              \
        .place = API_QUERY, .name = "starting_after", .type = API_TEXT, .min = 1, .max = 255,      \
        .what = "id of the row before: the next page begins behind it"                             \
    }

#endif
