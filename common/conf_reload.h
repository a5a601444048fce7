/* Secrets and URLs that are rolled under a running program: the files that X_FILE names are read
 * again, and what they hold is put into the config in place.
 *
 * A file is looked at through its name, so that a symbolic link that is turned to another file (as
 * Kubernetes does) is a change like any other. It is read once two looks in a row find the same, so
 * that one who writes it in place may finish. What cannot be used is logged as `setting_kept`, and
 * what was in force before stays so. */
#ifndef METERLINE_CONF_RELOAD_H
#define METERLINE_CONF_RELOAD_H

#include "common/conf.h"

#include <uv.h>

struct conf_reload; /* opaque */

struct conf_reload_terms {
    const struct conf_setting *table;
    void *config;                     /* its fields are replaced in place, the old texts freed */
    int (*check)(const void *config); /* of the stage, or NULL: a new text must please it too */
    /* A setting has another text now; text: the new one. May be NULL. */
    void (*on_changed)(const struct conf_setting *setting, const char *text);
};

/* terms: what it points to is borrowed. NULL: no setting of the table comes from a file; all
 * others take that for nothing to do. */
struct conf_reload *conf_reload_new(const struct conf_reload_terms *terms);
/* Look at all files, and read those that have changed: to be called now and then. */
void conf_reload_changed(struct conf_reload *r);
/* Read all of them now. */
void conf_reload_all(struct conf_reload *r);
void conf_reload_free(struct conf_reload *r);

/* The same for a stage: looks once a second by itself. */
struct conf_watch; /* opaque */

/* As conf_reload_new. */
struct conf_watch *conf_watch_open(uv_loop_t *loop, const struct conf_reload_terms *terms);
/* Read all files now, as SIGHUP asks for. watch: may be NULL. */
void conf_watch_read(struct conf_watch *watch);
/* Frees itself from the loop. */
void conf_watch_close(struct conf_watch *watch);

#endif
