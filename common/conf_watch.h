/* A stage's files of secrets (conf_reload.h), looked at once a second and read when it asks for it
 * (SIGHUP). */
#ifndef METERLINE_CONF_WATCH_H
#define METERLINE_CONF_WATCH_H

#include "common/conf_reload.h"

#include <uv.h>

struct conf_watch;

/* As conf_reload_new. */
struct conf_watch *conf_watch_open(uv_loop_t *loop, const struct conf_reload_terms *terms);
/* Read all files now. watch: may be NULL. */
void conf_watch_read(struct conf_watch *watch);
/* Frees itself from the loop. */
void conf_watch_close(struct conf_watch *watch);

#endif
