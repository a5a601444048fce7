/* Checks on the text of settings that several stages have, beyond their type.
 *
 * conf_check_*: 0, or -1 with e saying what is wrong. e never quotes the text: it may be a secret,
 * or a URL with a password that cannot be told from the rest. */
#ifndef METERLINE_CONF_CHECK_H
#define METERLINE_CONF_CHECK_H

#include "common/err.h"

#include <stdbool.h>

int conf_check_redis_url(const char *text, struct err *e);
int conf_check_database_url(const char *text, struct err *e);
/* Printable ASCII without blanks, since it goes into an HTTP header. */
int conf_check_token(const char *text, struct err *e);
/* A secret key (sk_) or a restricted one (rk_): no other kind may call the API. */
int conf_check_stripe_key(const char *text, struct err *e);
/* Signing secrets of webhook endpoints (whsec_), comma separated. */
int conf_check_webhook_secrets(const char *text, struct err *e);
/* https://HOST…, or http:// to this machine, since the key goes over that connection. */
int conf_check_stripe_base(const char *text, struct err *e);

/* Whether a running stage may go on with the new text: 0, or -1 with e. Whether the text is valid
 * by itself is checked separately. */
int conf_check_stripe_key_change(const char *before, const char *after, struct err *e);
/* User, password and hosts may change, but not the database. */
int conf_check_database_change(const char *before, const char *after, struct err *e);
/* Only user and password may change. */
int conf_check_redis_change(const char *before, const char *after, struct err *e);

/* Whether HOST, HOST:PORT or HOST/… is this machine by its own name or address. */
bool conf_is_loopback(const char *authority);
/* A Stripe key that moves real money (sk_live_, rk_live_). */
bool conf_is_live_key(const char *key);

/* For a fault that concerns several settings: logs `setting_refused`; returns 1, the number of
 * faults. */
int conf_refuse(const char *setting, const char *why);
/* The same for STRIPE_SECRET_KEY if it is a live key and STRIPE_LIVE does not allow it; else 0.
 * key: may be NULL. */
int conf_refuse_live_key(const char *key, bool allowed);

#endif
