/* The filter by which `rejected list` and `rejected replay` choose entries. */
#ifndef METERLINE_CTL_REJECTED_H
#define METERLINE_CTL_REJECTED_H

#include "ctl/args.h"

struct rejected_filter {
    const char *tenant; /* NULL: all */
    const char *reason; /* NULL: all */
    const char *since;  /* as written; NULL: all */
    char since_at[TIME_TEXT_SIZE];
};

/* For the options table of a command; f is a struct rejected_filter. */
#define REJECTED_FILTER_OPTIONS(f)                                                                 \
    {"--tenant", &(f).tenant, NULL}, {"--reason", &(f).reason, NULL},                              \
    {                                                                                              \
        "--since", &(f).since, NULL                                                                \
    }

/* Returns 0 if there is such a reason, or -1 after telling. */
int rejected_check_reason(const struct rejected_filter *f);

/* A decimal id of rejected_events. Returns 0, or -1 after telling. */
int rejected_check_id(const char *text);

#endif
