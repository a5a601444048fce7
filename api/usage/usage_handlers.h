/* Handlers of the routes of usage, and the tables that stand beside them. */
#ifndef METERLINE_API_USAGE_HANDLERS_H
#define METERLINE_API_USAGE_HANDLERS_H

#include "api/route.h"

struct api_request;

/* usage_read.c */
extern const struct api_field USAGE_FIELDS[];
extern const struct api_param WINDOWS_PARAMS[];
extern const struct api_field WINDOWS_FIELDS[];
extern const struct api_param SUBMISSIONS_PARAMS[];
extern const struct api_field SUBMISSIONS_FIELDS[];
extern const struct api_param HISTORY_PARAMS[];
extern const struct api_field HISTORY_FIELDS[];
void usage_read(struct api_request *r);
void usage_read_windows(struct api_request *r);
void usage_list_submissions(struct api_request *r);
void usage_list_history(struct api_request *r);

/* quotas.c */
extern const struct api_field QUOTAS_FIELDS[];
extern const struct api_param CHECK_PARAMS[];
extern const struct api_field CHECK_FIELDS[];
void quotas_read(struct api_request *r);
void quotas_check(struct api_request *r);

/* alerts.c */
extern const struct api_param ALERTS_PARAMS[];
extern const struct api_field ALERTS_FIELDS[];
void alerts_read(struct api_request *r);
void alerts_write(struct api_request *r);

/* usage_export.c */
extern const struct api_param EXPORT_PARAMS[];
void usage_export(struct api_request *r);

/* ingest.c */
extern const char *const INGEST_TYPES[];
extern const struct api_field INGEST_FIELDS[];
extern const struct api_param BACKFILL_PARAMS[];
void usage_ingest(struct api_request *r);
void usage_backfill(struct api_request *r);

#endif
