/* The families of events that there are, each in a file of its own. */
#ifndef METERLINE_WEBHOOKD_FAMILIES_H
#define METERLINE_WEBHOOKD_FAMILIES_H

#include "webhookd/work/job.h"

extern const struct family CUSTOMER_FAMILY;
extern const struct family SUBSCRIPTION_FAMILY;
extern const struct family INVOICE_FAMILY;
extern const struct family METER_REPORT_FAMILY;

/* The family of a type, or NULL. */
const struct family *family_of(const char *type);

#endif
