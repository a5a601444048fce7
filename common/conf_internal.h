/* What the files of the settings share: conf.c (reading them), conf_print.c, conf_reload.c (files
 * that change). Nobody else includes this. */
#ifndef METERLINE_CONF_INTERNAL_H
#define METERLINE_CONF_INTERNAL_H

#include "common/conf.h"
#include "common/str.h"

/* The setting's field in *config. */
void *conf_field(const struct conf_setting *s, void *config);
/* Whether X_FILE is read for it. */
bool conf_has_file(const struct conf_setting *s);
/* Check text and store it in *config. Returns 0, or -1 with e saying what is allowed. */
int conf_value_parse(const struct conf_setting *s, const char *text, void *config, struct err *e);
/* Append what is allowed, such as "1 to 86400 s" or "one of: debug, info"; nothing for a text. */
void conf_value_range(const struct conf_setting *s, struct buf *out);

/* The one line of text in the file (malloc'd), without what editors and other systems put around
 * it: a byte order mark, carriage returns, blank lines, blanks at both ends. Returns 0, or -1 with
 * e, which never quotes the text: it is a secret. */
int conf_file_read(const char *path, char **text, struct err *e);

#endif
