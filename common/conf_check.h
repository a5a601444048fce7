/* What the text of a setting must fulfil beyond its type, where several stages have the setting.
 *
 * conf_check_*: 0, or -1 with e saying what is wrong. e never quotes the text: it may be a secret,
 * or a URL with a password that cannot be told from the rest. */
#ifndef METERLINE_CONF_CHECK_H
#define METERLINE_CONF_CHECK_H

#include "common/err.h"

#include <stdbool.h>

int conf_check_redis_url(const char *text, struct err *e);
int conf_check_database_url(const char *text, struct err *e);
/* Printable ASCII without blanks: what goes into a header of HTTP. */
int conf_check_token(const char *text, struct err *e);
/* A secret key (sk_) or a restricted one (rk_): the only ones that may do what we need. */
int conf_check_stripe_key(const char *text, struct err *e);
/* Signing secrets of webhook endpoints (whsec_), comma separated. */
int conf_check_webhook_secrets(const char *text, struct err *e);
/* https://HOST…, or http:// to this machine, since the key goes over that connection. */
int conf_check_stripe_base(const char *text, struct err *e);

/* Whether a running stage may go on with another text: 0, or -1 with e. Each text by itself was
 * taken, or is looked at afterwards. */
int conf_check_stripe_key_change(const char *before, const char *after, struct err *e);
/* Another user and password, or other hosts of the same database. */
int conf_check_database_change(const char *before, const char *after, struct err *e);
/* Another user and password. */
int conf_check_redis_change(const char *before, const char *after, struct err *e);

/* A key of Stripe's that moves real money. */
bool conf_is_live_key(const char *key);

/* For faults that concern several settings: logs `setting_refused`; returns 1, their number. */
int conf_refuse(const char *setting, const char *why);
/* The same for STRIPE_SECRET_KEY if it is a live key and STRIPE_LIVE does not allow it; else 0.
 * key: may be NULL. */
int conf_refuse_live_key(const char *key, bool allowed);

#endif
