/* What a preview answers, and lines of Stripe's invoices. */
#ifndef METERLINE_API_PREVIEW_FIELDS_H
#define METERLINE_API_PREVIEW_FIELDS_H

#include "api/route.h"

extern const struct api_field PREVIEW_FIELDS[];
/* A line of an invoice as Stripe has it, of all versions. */
extern const struct api_field STRIPE_LINE_FIELDS[];

#endif
