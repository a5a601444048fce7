/* Answers that say no. */
#ifndef METERLINE_EMITTER_PROBLEM_H
#define METERLINE_EMITTER_PROBLEM_H

#include "common/http/http_server.h"

/* {"error": {"code": …, "message": …}} */
void answer_error(struct http_exchange *x, int status, const char *code, const char *message);
/* The same with Retry-After. */
void answer_later(struct http_exchange *x, int status, const char *code, const char *message,
                  int64_t after_s);

#endif
