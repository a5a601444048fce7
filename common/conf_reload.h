/* Changing secrets and URLs without a restart: the files that X_FILE names are read again, and the
 * config gets their new text.
 *
 * A file is looked at by its name, so that a symbolic link that leads to another file (as
 * Kubernetes does it) is a change like any other. A changed file is read once two looks in a row
 * find it the same, so that whoever writes it in place can finish. A new text that cannot be used
 * is logged as `setting_kept`, and the old one stays in force. */
#ifndef METERLINE_CONF_RELOAD_H
#define METERLINE_CONF_RELOAD_H

#include "common/conf.h"

#include <uv.h>

struct conf_reload; /* opaque */

struct conf_reload_terms {
    const struct conf_setting *table;
    void *config;                     /* its fields are replaced in place, the old texts freed */
    int (*check)(const void *config); /* the stage's, which a new text must pass too; or NULL */
    /* A setting has a new text. May be NULL. */
    void (*on_changed)(const struct conf_setting *setting, const char *text);
};

/* terms: copied, but what it points to is borrowed. Returns NULL if no setting of the table comes
 * from a file; the other functions take NULL and do nothing. */
struct conf_reload *conf_reload_new(const struct conf_reload_terms *terms);
/* Look at all files, and read those that have changed. Call it every second or so. */
void conf_reload_changed(struct conf_reload *r);
/* Read all of them now. */
void conf_reload_all(struct conf_reload *r);
void conf_reload_free(struct conf_reload *r);

/* For a stage: the same once a second, by itself. */
struct conf_watch; /* opaque */

/* As conf_reload_new. */
struct conf_watch *conf_watch_open(uv_loop_t *loop, const struct conf_reload_terms *terms);
/* Read all files now, as SIGHUP asks for. watch: may be NULL. */
void conf_watch_read(struct conf_watch *watch);
/* Frees itself from the loop. */
void conf_watch_close(struct conf_watch *watch);

#endif
