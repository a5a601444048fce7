/* Reading a catalog from a file. */
#ifndef METERLINE_CTL_CATALOG_FILE_H
#define METERLINE_CTL_CATALOG_FILE_H

#include <jansson.h>

/* name: "-" is standard input. so_far: for people, such as "nothing was changed". Returns CTL_DONE
 * with the rows of catalog_parse, the caller's; or an exit code after telling all faults. */
int catalog_file_read(const char *name, const char *so_far, json_t **rows);

#endif
