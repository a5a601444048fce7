/* Steps that tenants take in the product, such as their first report. */
#ifndef METERLINE_CTL_STEPS_H
#define METERLINE_CTL_STEPS_H

#define STEPS_DEFAULT "preview,analytics,report"

/* "a,b,c" as a JSON array, the caller's to free; NULL after telling that it cannot be read. */
char *steps_parse(const char *text);

#endif
