/* One setting's value: from text, and what is allowed. Used by conf only. */
#ifndef METERLINE_CONF_VALUE_H
#define METERLINE_CONF_VALUE_H

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

#endif
