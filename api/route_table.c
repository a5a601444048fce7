#include "api/route_table.h"

#include "api/admin/admin_routes.h"
#include "api/billing/billing_routes.h"
#include "api/invoices/invoice_routes.h"
#include "api/openapi.h"
#include "api/preview/preview_routes.h"
#include "api/revenue/revenue_routes.h"
#include "api/usage/usage_routes.h"

#include <stddef.h>

const struct api_route *const API_ROUTES[] = {USAGE_ROUTES,        PORTAL_ROUTES,
                                              CUSTOMER_ROUTES,     CHECKOUT_ROUTES,
                                              SUBSCRIPTION_ROUTES, PREVIEW_ROUTES,
                                              INVOICE_ROUTES,      PDF_ROUTES,
                                              REVENUE_ROUTES,      ADMIN_LIST_ROUTES,
                                              TENANT_LIMIT_ROUTES, PIPELINE_ROUTES,
                                              DOCUMENT_ROUTES,     NULL};
