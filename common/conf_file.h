/* The text of a file that X_FILE names. */
#ifndef METERLINE_CONF_FILE_H
#define METERLINE_CONF_FILE_H

#include "common/err.h"

/* The one line of text in the file (malloc'd), without what editors and other systems put around
 * it: a byte order mark, carriage returns, blank lines, blanks at both ends. Returns 0, or -1 with
 * e, which never quotes the text: it is a secret. */
int conf_file_read(const char *path, char **text, struct err *e);

#endif
