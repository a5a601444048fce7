/* The settings of the notifier. */
#ifndef METERLINE_NOTIFIER_CONFIG_H
#define METERLINE_NOTIFIER_CONFIG_H

#include "common/conf.h"

struct config {
    struct conf_base base;
    int64_t signals_maxlen; /* of the stream; 0: it is never trimmed */
    int64_t retry_first_ms;
    int64_t retry_max_s;
    int64_t give_up_s;
    char *smtp_url; /* "none": no mail is sent */
    char *smtp_password;
    char *smtp_from;
    char *smtp_ca_file; /* NULL: the system's */
    bool smtp_plain;
    int64_t posts_in_flight;
    int64_t post_timeout_s;
    bool allow_private; /* http:// and addresses that are not public */
    int64_t keep_days;  /* messages that are done with */
};

extern const struct conf_setting NOTIFIER_SETTINGS[];

/* Logs each fault that concerns more than one setting, and returns their number. config: a struct
 * config whose strings may be NULL. */
int notifier_config_check(const void *config);

/* There is a mail server. */
bool notifier_has_mail(const struct config *c);

/* Mail may go out without TLS: the server is this machine, or SMTP_PLAIN allows it. */
bool notifier_mail_may_be_plain(const struct config *c);

#endif
