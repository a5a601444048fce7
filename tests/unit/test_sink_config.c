/* Where the sink's requests go. */
#include "sink/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static void the_stream_follows_an_api_that_is_not_stripes_own(void **state)
{
    /* So that a sandbox needs one setting; a setting of its own goes before. */
    (void)state;
    static const struct {
        char *api;
        char *meter_events;
        const char *expected;
    } CASES[] = {
        {"https://api.stripe.com", NULL, "https://meter-events.stripe.com"},
        {"https://api.stripe.com/", NULL, "https://meter-events.stripe.com"},
        {"http://127.0.0.1:12111", NULL, "http://127.0.0.1:12111"},
        {"https://api.stripe.com.example.org", NULL, "https://api.stripe.com.example.org"},
        {"https://api.stripe.co", NULL, "https://api.stripe.co"},
        {"https://api.stripe.com", "http://127.0.0.1:1", "http://127.0.0.1:1"},
        {"http://127.0.0.1:12111", "https://a.example", "https://a.example"},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        const struct config config = {.stripe_api_base = CASES[i].api,
                                      .stripe_meter_events_base = CASES[i].meter_events};
        assert_string_equal(config_meter_events_base(&config), CASES[i].expected);
    }
}

static void a_slash_at_the_end_of_a_base_does_not_matter(void **state)
{
    /* One slash stands between the two. */
    (void)state;
    static const char *const BASES[] = {"https://a.example", "https://a.example/"};
    for (size_t i = 0; i < 2; i++) {
        char *url = config_url(BASES[i], "/v1/x");
        assert_string_equal(url, "https://a.example/v1/x");
        free(url);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_stream_follows_an_api_that_is_not_stripes_own),
        cmocka_unit_test(a_slash_at_the_end_of_a_base_does_not_matter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
