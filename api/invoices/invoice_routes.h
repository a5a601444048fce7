/* Invoices as webhookd stored them, their lines as Stripe has them, and their PDFs. */
#ifndef METERLINE_API_INVOICE_ROUTES_H
#define METERLINE_API_INVOICE_ROUTES_H

#include "api/route.h"

extern const struct api_route INVOICE_ROUTES[];
extern const struct api_route PDF_ROUTES[];

#endif
