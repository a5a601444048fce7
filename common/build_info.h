/* Which build runs, as a metric. */
#ifndef METERLINE_BUILD_INFO_H
#define METERLINE_BUILD_INFO_H

/* meterline_build_info{version,revision}, 1. */
void build_info_export(void);

#endif
