/* Which rows a command changes: those that are named, or those of a filter, which wants --yes. */
#ifndef METERLINE_CTL_SELECTION_H
#define METERLINE_CTL_SELECTION_H

#include "common/err.h"

#include <jansson.h>
#include <libpq-fe.h>
#include <stdbool.h>

struct selection {
    json_t *named;      /* identifiers, each once; NULL: by filter. Owned */
    const char *tenant; /* of the filter; NULL: all */
    bool yes;
};

/* The plain words of the command as identifiers. Returns 0, or -1 after telling. */
int selection_parse(struct selection *s, int count, char **words);
void selection_done(struct selection *s);

/* One statement in a transaction of its own, which is rolled back by filter without --yes: then its
 * rows tell what would happen. Returns the rows, the caller's to PQclear, or NULL with e. */
PGresult *selection_run(const struct selection *s, PGconn *conn, const char *sql, int n,
                        const char *const *values, struct err *e);

#endif
