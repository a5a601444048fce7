#include "emitter/daemon/problem.h"

#include "common/str.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void answer_error(struct http_exchange *x, int status, const char *code, const char *message)
{
    struct buf body = {0};
    buf_printf(&body, "{\"error\":{\"code\":\"%s\",\"message\":", code);
    buf_add_json_str(&body, message, strlen(message));
    buf_add_str(&body, "}}");
    http_reply(x, status, "application/json", body.data, body.length);
    buf_done(&body);
}

void answer_later(struct http_exchange *x, int status, const char *code, const char *message,
                  int64_t after_s)
{
    char text[24];
    snprintf(text, sizeof text, "%" PRId64, after_s);
    http_reply_header(x, "Retry-After", text);
    answer_error(x, status, code, message);
}
