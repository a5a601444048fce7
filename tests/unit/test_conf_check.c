/* What texts of settings must fulfil. */
#include "common/conf_check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define COUNT(list) (sizeof(list) / sizeof(list)[0])

typedef int check_fn(const char *text, struct err *e);

static void must_take(check_fn *check, const char *const *texts, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct err e = {0};
        if (check(texts[i], &e))
            fail_msg("%s: %s", texts[i], e.text);
    }
}

static void must_refuse(check_fn *check, const char *const *texts, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct err e = {0};
        if (check(texts[i], &e) == 0)
            fail_msg("taken: %s", texts[i]);
        assert_int_equal(e.kind, ERR_CONFIG);
        assert_null(strstr(e.text, "hunter2"));
    }
}

static void addresses_of_servers_must_be_readable(void **state)
{
    /* A wrong URL is refused when settings are read, and what is said never quotes it. */
    (void)state;
    static const char *const redis[] = {
#ifdef HAVE_HIREDIS_SSL
        "rediss://:pw@h:1/2",
#endif
        "redis://127.0.0.1:6379", "unix:///run/redis.sock"};
    static const char *const no_redis[] = {
#ifndef HAVE_HIREDIS_SSL
        "rediss://:hunter2@h:1/2",
#endif
        "",
        "127.0.0.1",
        "http://h",
        "redis://:hunter2",
        "redis:/hunter2@h",
        "redis://h:x"};
    static const char *const database[] = {
        "postgresql://u:p@h:1/d",
        "postgres://h",
        "host=h",
        "host=/run dbname='a b'",
        "postgresql://u:p@a,b/d",
        "postgresql://u:p@a:1,b:2/d?target_session_attrs=read-write&sslmode=prefer",
        "host=a,b port=5432 connect_timeout=3",
        "hostaddr=10.0.0.1,10.0.0.2 host=a,b",
        "postgresql:///d?host=/run/postgresql",
        "postgresql://u:p@[::1]:5432/d?options=-csearch_path%3Dx"};
    static const char *const no_database[] = {
        "meterline",
        "http://h/d",
        "postgresql://u:hunter2@[",
        "host=h hunter2",
        "colour=red",
        "postgresql://u:hunter2@h:0/d",
        "postgresql://u:hunter2@h:65536/d",
        "postgresql://u@h:hunter2/d",
        "postgresql://u:hunter2@h/d?sslmode=on",
        "postgresql://u:hunter2@h/d?target_session_attrs=master",
        "postgresql://u:hunter2@h/d?channel_binding=maybe",
        "host=a,b port=1,2,3 password=hunter2",
        "postgresql://u:hunter2@h/d?service=of_nobody"};
    must_take(conf_check_redis_url, redis, COUNT(redis));
    must_refuse(conf_check_redis_url, no_redis, COUNT(no_redis));
    must_take(conf_check_database_url, database, COUNT(database));
    must_refuse(conf_check_database_url, no_database, COUNT(no_database));
}

static void a_key_goes_over_tls_or_stays_on_this_machine(void **state)
{
    /* http:// is taken for loopback addresses only, and nothing that only looks like one. */
    (void)state;
    static const char *const takes[] = {"https://api.stripe.com",  "https://h:8443/base",
                                        "http://127.0.0.1:12111",  "http://localhost",
                                        "http://localhost:1/base", "http://[::1]:80",
                                        "http://127.9.9.9"};
    static const char *const refuses[] = {"",
                                          "api.stripe.com",
                                          "ftp://h",
                                          "https://",
                                          "https:///path",
                                          "http://api.stripe.com",
                                          "http://127.example.com",
                                          "http://localhost.example.com",
                                          "http://[::1].example.com",
                                          "http://10.0.0.1",
                                          "https://u:hunter2@h",
                                          "http://127.0.0.1@example.com",
                                          "https://h?x",
                                          "https://h#x",
                                          "https://a b",
                                          "https://h\n"};
    must_take(conf_check_stripe_base, takes, COUNT(takes));
    must_refuse(conf_check_stripe_base, refuses, COUNT(refuses));
}

static void headers_take_printable_ascii_only(void **state)
{
    /* A newline from a file would break the header that a key goes into. */
    (void)state;
    static const char *const takes[] = {"sk_test_1", "2026-10-28.endive", "~!"};
    static const char *const refuses[] = {"hunter2 ",  "hunter2\n",   "hunter2\r",
                                          "\thunter2", "hunter2\x7f", "hunter2\xc3\xa9"};
    must_take(conf_check_token, takes, COUNT(takes));
    must_refuse(conf_check_token, refuses, COUNT(refuses));
}

static void must_say(int (*check)(const char *, struct err *), const char *text, const char *words)
{
    struct err e = {0};
    assert_int_equal(check(text, &e), -1);
    if (!strstr(e.text, words) || strstr(e.text, "hunter2"))
        fail_msg("of %s is said: %s", text, e.text);
}

static void one_kind_of_secret_is_not_taken_for_another(void **state)
{
    /* Keys of the API begin with sk_ or rk_, signing secrets with whsec_; others are named. */
    (void)state;
    static const char *const keys[] = {"sk_test_1", "sk_live_1", "rk_test_1", "rk_live_1"};
    static const char *const secrets[] = {"whsec_1", "whsec_1,whsec_2"};
    must_take(conf_check_stripe_key, keys, COUNT(keys));
    must_take(conf_check_webhook_secrets, secrets, COUNT(secrets));
    must_say(conf_check_stripe_key, "pk_test_hunter2", "holds a publishable key (pk_)");
    must_say(conf_check_stripe_key, "whsec_hunter2", "holds the signing secret");
    must_say(conf_check_stripe_key, "we_hunter2", "holds the id of a webhook endpoint");
    must_say(conf_check_stripe_key, "hunter2", "needed is a secret or restricted key");
    must_say(conf_check_webhook_secrets, "sk_test_hunter2", "holds a secret key of the API");
    must_say(conf_check_webhook_secrets, "rk_live_hunter2", "holds a restricted key");
    must_say(conf_check_webhook_secrets, "whsec_1,pk_hunter2", "holds a publishable key");
    must_say(conf_check_webhook_secrets, "hunter2", "begins with whsec_");
    must_say(conf_check_webhook_secrets, "whsec_1,", "one of its parts is empty");
    must_say(conf_check_webhook_secrets, ",whsec_1", "one of its parts is empty");
    must_say(conf_check_webhook_secrets, "whsec_1,,whsec_2", "one of its parts is empty");
    must_say(conf_check_webhook_secrets, "whsec_", "empty behind whsec_");
}

static void must_change(int (*check)(const char *, const char *, struct err *), const char *before,
                        const char *after, bool taken)
{
    struct err e = {0};
    if ((check(before, after, &e) == 0) != taken || strstr(e.text, "hunter2"))
        fail_msg("from %s to %s: %s", before, after, e.text);
}

static void a_running_stage_stays_where_it_is(void **state)
{
    /* Credentials may be rolled; another account's mode, database or Redis needs a restart. */
    (void)state;
    must_change(conf_check_stripe_key_change, "sk_test_1", "rk_test_hunter2", true);
    must_change(conf_check_stripe_key_change, "sk_test_1", "sk_live_hunter2", false);
    must_change(conf_check_stripe_key_change, "rk_live_1", "sk_test_hunter2", false);
    must_change(conf_check_database_change, "postgresql://a:b@h/d", "postgresql://c:hunter2@i/d",
                true);
    must_change(conf_check_database_change, "postgresql://a:b@h/d", "postgresql://a:hunter2@h/e",
                false);
    must_change(conf_check_redis_change, "redis://a:b@h:1/2", "redis://c:hunter2@h:1/2", true);
    must_change(conf_check_redis_change, "redis://h", "redis://:hunter2@h:6379", true);
    must_change(conf_check_redis_change, "redis://a:b@h:1/2", "redis://a:hunter2@h:1/3", false);
    must_change(conf_check_redis_change, "redis://a:b@h:1", "redis://a:hunter2@i:1", false);
    must_change(conf_check_redis_change, "redis://a:b@h", "redis://a:hunter2@h,i", false);
    must_change(conf_check_redis_change, "redis://a:b@h", "unix:///hunter2", false);
}

static void live_keys_need_consent(void **state)
{
    /* A key that moves real money is taken only with STRIPE_LIVE=1; secret and restricted ones. */
    (void)state;
    assert_int_equal(conf_refuse_live_key("sk_live_1", false), 1);
    assert_int_equal(conf_refuse_live_key("rk_live_1", false), 1);
    assert_int_equal(conf_refuse_live_key("sk_live_1", true), 0);
    assert_int_equal(conf_refuse_live_key("sk_test_1", false), 0);
    assert_int_equal(conf_refuse_live_key(NULL, false), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_of_servers_must_be_readable),
        cmocka_unit_test(a_key_goes_over_tls_or_stays_on_this_machine),
        cmocka_unit_test(headers_take_printable_ascii_only),
        cmocka_unit_test(one_kind_of_secret_is_not_taken_for_another),
        cmocka_unit_test(a_running_stage_stays_where_it_is),
        cmocka_unit_test(live_keys_need_consent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
