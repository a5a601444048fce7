/* hiredis' own way to a TLS context checks no host name, so the SSL object is made here. */
#include "common/redis/redis_tls.h"

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

void *redis_tls_start(redisContext *c, const char *host, struct err *e)
{
    SSL *ssl = make_ssl(host);
    if (!ssl) {
        err_set(e, ERR_TLS, "OpenSSL cannot be set up");
        return NULL;
    }
    if (redisInitiateSSL(c, ssl) == REDIS_OK)
        return ssl;
    const char *refusal = redis_tls_refusal(ssl);
    err_set(e, ERR_TLS, "TLS with Redis: %s", refusal ? refusal : c->errstr);
    SSL_free(ssl);
    return NULL;
}

const char *redis_tls_refusal(const void *tls)
{
    long result = SSL_get_verify_result(tls);
    return result == X509_V_OK ? NULL : X509_verify_cert_error_string(result);
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

void *redis_tls_start(redisContext *c, const char *host, struct err *e)
{
    (void)c;
    (void)host;
    no_tls(e);
    return NULL;
}

const char *redis_tls_refusal(const void *tls)
{
    (void)tls;
    return NULL;
}

#endif
