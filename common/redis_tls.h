/* TLS for hiredis, where it was built with it (HAVE_HIREDIS_SSL). */
#ifndef METERLINE_REDIS_TLS_H
#define METERLINE_REDIS_TLS_H

#include "common/err.h"

#include <hiredis/hiredis.h>

/* Returns 0, or -1 with ERR_CONFIG if this build has no TLS. */
int redis_tls_check(struct err *e);
/* Put TLS on a context whose connection was started; host: the name that its certificate must have.
 * Trusted is what OpenSSL trusts (SSL_CERT_FILE, SSL_CERT_DIR). Returns 0, or -1 with e. */
int redis_tls_start(redisContext *c, const char *host, struct err *e);

#endif
