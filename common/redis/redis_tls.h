/* TLS for hiredis, where it was built with it (HAVE_HIREDIS_SSL). */
#ifndef METERLINE_REDIS_TLS_H
#define METERLINE_REDIS_TLS_H

#include "common/err.h"

#include <hiredis/hiredis.h>

/* Returns 0, or -1 with ERR_CONFIG if this build has no TLS. */
int redis_tls_check(struct err *e);
/* Put TLS on a context whose connection was started; host: the name that its certificate must have.
 * Trusted is what OpenSSL trusts (SSL_CERT_FILE, SSL_CERT_DIR). Returns the session, owned by the
 * context, or NULL with e. */
void *redis_tls_start(redisContext *c, const char *host, struct err *e);
/* What is wrong with the peer's certificate, or NULL: hiredis does not tell. Static. */
const char *redis_tls_refusal(const void *tls);

#endif
