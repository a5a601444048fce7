/* The two halves of a status report, each read in a process of its own. */
#ifndef METERLINE_CTL_STATUS_H
#define METERLINE_CTL_STATUS_H

#include "ctl/ctl.h"

#include <jansson.h>

/* PostgreSQL's half: owner is the struct ctl_config. It tells
 * {"list": one of the report's, "rows": […]}, first "positions", and at last {"peer": "postgres",
 * "state": …}. */
void status_read_ledger(void *owner, int fd);

/* Redis' half: {"queue": stream, …}, {"cache": {…}}, and at last {"peer": "redis", …}. */
struct status_streams {
    const struct ctl_config *config;
    const json_t *positions; /* rows of status_positions; NULL: nobody knows them */
    int64_t shards;
};
void status_read_streams(void *owner, int fd);

/* The streams there are, by name: those that have a position, and those of the shards in force. The
 * caller's to json_decref. */
json_t *status_stream_names(const struct status_streams *s);

#endif
