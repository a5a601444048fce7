/* hiredis' own way to a TLS context checks no host name, so the SSL object is made here. */
#include "common/redis_tls.h"

#ifdef HAVE_HIREDIS_SSL

#include <hiredis/hiredis_ssl.h>
#include <openssl/ssl.h>

int redis_tls_check(struct err *e)
{
    (void)e;
    return 0;
}

/* A certificate names hosts and addresses apart, and an address is no server name indication. */
static bool expect_host(SSL *ssl, const char *host)
{
    return X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host) == 1 ||
           (SSL_set1_host(ssl, host) == 1 && SSL_set_tlsext_host_name(ssl, host) == 1);
}

static SSL *make_ssl(const char *host)
{
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    if (!context)
        return NULL;
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER, NULL);
    SSL *ssl = SSL_CTX_set_default_verify_paths(context) == 1 ? SSL_new(context) : NULL;
    SSL_CTX_free(context); /* ssl holds it on */
    if (ssl && !expect_host(ssl, host)) {
        SSL_free(ssl);
        ssl = NULL;
    }
    return ssl;
}

int redis_tls_start(redisContext *c, const char *host, struct err *e)
{
    SSL *ssl = make_ssl(host);
    if (!ssl)
        return err_set(e, ERR_TLS, "OpenSSL cannot be set up");
    if (redisInitiateSSL(c, ssl) == REDIS_OK)
        return 0; /* ssl belongs to c from here on */
    SSL_free(ssl);
    return err_set(e, ERR_TLS, "TLS with Redis: %s", c->errstr);
}

#else

static int no_tls(struct err *e)
{
    return err_set(e, ERR_CONFIG, "rediss:// needs a build with hiredis_ssl, this one has none");
}

int redis_tls_check(struct err *e)
{
    return no_tls(e);
}

int redis_tls_start(redisContext *c, const char *host, struct err *e)
{
    (void)c;
    (void)host;
    return no_tls(e);
}

#endif
