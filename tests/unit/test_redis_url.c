/* Redis URLs. */
#include "common/redis/redis_internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void same_text(const char *actual, const char *expected)
{
    if (expected)
        assert_string_equal(actual, expected);
    else
        assert_null(actual);
}

static void must_parse(const char *url, const struct redis_url *expected)
{
    struct redis_url u;
    struct err e = {0};
    if (redis_url_parse(url, &u, &e) != 0)
        fail_msg("%s: %s", url, e.text);
    assert_int_equal(u.n_seeds, expected->n_seeds);
    for (int i = 0; i < u.n_seeds; i++) {
        assert_string_equal(u.seeds[i].host, expected->seeds[i].host);
        assert_int_equal(u.seeds[i].port, expected->seeds[i].port);
    }
    same_text(u.path, expected->path);
    same_text(u.user, expected->user);
    same_text(u.password, expected->password);
    assert_int_equal(u.database, expected->database);
    assert_int_equal(u.tls, expected->tls);
    redis_url_done(&u);
}

#define URL(...) (&(struct redis_url){__VA_ARGS__})

static void the_parts_of_a_url_are_found(void **state)
{
    /* What is absent is NULL, 0, or the default port. */
    (void)state;
    must_parse("redis://127.0.0.1:6379", URL(.seeds = {{"127.0.0.1", 6379}}, .n_seeds = 1));
    must_parse("redis://cache", URL(.seeds = {{"cache", 6379}}, .n_seeds = 1));
    must_parse("redis://cache/", URL(.seeds = {{"cache", 6379}}, .n_seeds = 1));
    must_parse("redis://cache:1/15", URL(.seeds = {{"cache", 1}}, .n_seeds = 1, .database = 15));
    must_parse("rediss://cache:65535/0",
               URL(.seeds = {{"cache", 65535}}, .n_seeds = 1, .tls = true));
    must_parse("redis://[::1]:7000/2", URL(.seeds = {{"::1", 7000}}, .n_seeds = 1, .database = 2));
    must_parse("redis://[fe80::1]", URL(.seeds = {{"fe80::1", 6379}}, .n_seeds = 1));
    must_parse("redis://:secret@h",
               URL(.seeds = {{"h", 6379}}, .n_seeds = 1, .password = "secret"));
    must_parse("redis://me:s@h:1",
               URL(.seeds = {{"h", 1}}, .n_seeds = 1, .user = "me", .password = "s"));
    must_parse("redis://:a@b@h:1", URL(.seeds = {{"h", 1}}, .n_seeds = 1, .password = "a@b"));
    must_parse("redis://m%40:p%2F%3a%25@h",
               URL(.seeds = {{"h", 6379}}, .n_seeds = 1, .user = "m@", .password = "p/:%"));
    must_parse("redis://a,b:1,[::1]:2",
               URL(.seeds = {{"a", 6379}, {"b", 1}, {"::1", 2}}, .n_seeds = 3));
    must_parse("rediss://u:p@a:1,b:2/0", URL(.seeds = {{"a", 1}, {"b", 2}}, .n_seeds = 2,
                                             .user = "u", .password = "p", .tls = true));
    must_parse("unix:///run/redis.sock", URL(.path = "/run/redis.sock"));
    must_parse("unix://:pw@/run/r", URL(.path = "/run/r", .password = "pw"));
}

static void must_not_parse(const char *url)
{
    struct redis_url u;
    struct err e = {0};
    if (redis_url_parse(url, &u, &e) == 0)
        fail_msg("accepted: %s", url);
    assert_int_equal(e.kind, ERR_CONFIG);
    assert_false(e.retry);
    assert_true(*e.text != '\0');
    assert_null(strstr(e.text, "secret"));
    redis_url_done(&u); /* is empty already */
}

static void other_urls_are_refused_without_quoting_them(void **state)
{
    /* ERR_CONFIG, and the text holds no piece of the URL: that might be the password. */
    (void)state;
    static const char *const urls[] = {
        "",
        "127.0.0.1:6379",
        "http://h",
        "REDIS://h",
        "redis://",
        "redis://:6379",
        "redis:///1",
        "redis://h:",
        "redis://h:0",
        "redis://h:65536",
        "redis://h:6379x",
        "redis://h:-1",
        "redis://h/x",
        "redis://h/-1",
        "redis://h/1/2",
        "redis://h/99999999999",
        "redis://h?db=1",
        "redis://h#1",
        "redis://a,",
        "redis://a,,b",
        "redis://a:1,b:x",
        "redis://1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17",
        "redis://[::1",
        "redis://[::1]7000",
        "redis://[]:1",
        "redis://secret@h",
        "redis://user:@h",
        "redis://:secret%@h",
        "redis://:secret%2@h",
        "redis://:secret%zz@h",
        "redis://:secret%00@h",
        "redis://%zz:secret@h",
        "redis://:secret/slash@h",
        "unix://",
        "unix:///",
        "unix://host/run/redis.sock",
        ("unix:///12345678901234567890123456789012345678901234567890"
         "123456789012345678901234567890123456789012345678901234567"),
    };
    for (size_t i = 0; i < sizeof urls / sizeof *urls; i++)
        must_not_parse(urls[i]);
}

static void a_url_without_its_library_is_an_error_of_settings(void **state)
{
    /* redis_open and redis_connect_blocking refuse what can never work at once. */
    (void)state;
    struct err e = {0};
    assert_null(redis_open(uv_default_loop(), "redis://h:x", (struct redis_events){0}, &e));
    assert_int_equal(e.kind, ERR_CONFIG);
    assert_null(redis_connect_blocking("tcp://h", 100, &e));
    assert_int_equal(e.kind, ERR_CONFIG);
#ifndef HAVE_HIREDIS_SSL
    e = (struct err){0};
    assert_null(redis_open(uv_default_loop(), "rediss://h", (struct redis_events){0}, &e));
    assert_int_equal(e.kind, ERR_CONFIG);
    assert_non_null(strstr(e.text, "hiredis_ssl"));
#endif
    assert_int_equal(uv_loop_close(uv_default_loop()), 0);
}

static void of_a_name_with_several_addresses_each_is_tried_for_a_master(void **state)
{
    (void)state;
    struct addrinfo list[3] = {{.ai_next = &list[1]}, {.ai_next = &list[2]}, {.ai_next = NULL}};
    for (unsigned replicas = 0; replicas < 7; replicas++)
        assert_ptr_equal(redis_pick_address(list, replicas), &list[replicas % 3]);
    assert_ptr_equal(redis_pick_address(&list[2], 5), &list[2]);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_parts_of_a_url_are_found),
        cmocka_unit_test(other_urls_are_refused_without_quoting_them),
        cmocka_unit_test(of_a_name_with_several_addresses_each_is_tried_for_a_master),
        cmocka_unit_test(a_url_without_its_library_is_an_error_of_settings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
