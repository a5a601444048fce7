/* Which addresses a tenant's URL may lead to. */
#include "common/http/address_rule.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static bool is_of(bool (*rule)(const struct sockaddr *address), const char *text)
{
    struct sockaddr_storage address = {0};
    struct sockaddr_in *v4 = (struct sockaddr_in *)&address;
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&address;
    if (strchr(text, ':')) {
        v6->sin6_family = AF_INET6;
        assert_int_equal(inet_pton(AF_INET6, text, &v6->sin6_addr), 1);
    } else {
        v4->sin_family = AF_INET;
        assert_int_equal(inet_pton(AF_INET, text, &v4->sin_addr), 1);
    }
    return rule((const struct sockaddr *)&address);
}

static bool is_public(const char *text)
{
    return is_of(address_is_public, text);
}

static void what_anybody_can_reach_is_public(void **state)
{
    /* Beside each network that is not, the address before it and the one behind it. */
    static const char *const PUBLIC[] = {"1.0.0.0",
                                         "8.8.8.8",
                                         "9.255.255.255",
                                         "11.0.0.0",
                                         "100.63.255.255",
                                         "100.128.0.0",
                                         "126.255.255.255",
                                         "128.0.0.0",
                                         "169.253.255.255",
                                         "169.255.0.0",
                                         "172.15.255.255",
                                         "172.32.0.0",
                                         "191.255.255.255",
                                         "192.0.1.0",
                                         "192.0.3.0",
                                         "192.88.98.255",
                                         "192.88.100.0",
                                         "192.167.255.255",
                                         "192.169.0.0",
                                         "198.17.255.255",
                                         "198.20.0.0",
                                         "198.51.99.255",
                                         "198.51.101.0",
                                         "203.0.112.255",
                                         "203.0.114.0",
                                         "223.255.255.255",
                                         "2000::1",
                                         "2001:200::1",
                                         "2001:4860:4860::8888",
                                         "2001:db7:ffff::1",
                                         "2001:db9::1",
                                         "2003::1",
                                         "2606:4700::1111",
                                         "3ffe::1",
                                         "3fff:1000::1",
                                         "::ffff:8.8.8.8",
                                         "64:ff9b::8.8.8.8",
                                         "2002:808:808::1",
                                         NULL};
    (void)state;
    for (int i = 0; PUBLIC[i]; i++)
        if (!is_public(PUBLIC[i]))
            fail_msg("%s is public", PUBLIC[i]);
}

static void what_only_some_can_reach_is_not(void **state)
{
    static const char *const PRIVATE[] = {"0.0.0.0",
                                          "0.255.255.255",
                                          "10.0.0.0",
                                          "10.255.255.255",
                                          "100.64.0.0",
                                          "100.127.255.255",
                                          "127.0.0.1",
                                          "127.255.255.255",
                                          "169.254.0.0",
                                          "169.254.169.254",
                                          "169.254.255.255",
                                          "172.16.0.0",
                                          "172.31.255.255",
                                          "192.0.0.0",
                                          "192.0.0.255",
                                          "192.0.2.1",
                                          "192.88.99.1",
                                          "192.168.0.0",
                                          "192.168.255.255",
                                          "198.18.0.0",
                                          "198.19.255.255",
                                          "198.51.100.1",
                                          "203.0.113.1",
                                          "224.0.0.1",
                                          "239.255.255.255",
                                          "240.0.0.0",
                                          "255.255.255.255",
                                          "::",
                                          "::1",
                                          "::8.8.8.8",
                                          "::ffff:127.0.0.1",
                                          "::ffff:10.0.0.1",
                                          "::ffff:169.254.169.254",
                                          "64:ff9b::10.0.0.1",
                                          "64:ff9b::7f00:1",
                                          "64:ff9b:1::808:808",
                                          "100::1",
                                          "1fff:ffff::1",
                                          "2001::1",
                                          "2001:1ff:ffff::1",
                                          "2001:db8::1",
                                          "2002:a00:1::1",
                                          "2002:7f00:1::1",
                                          "3fff::1",
                                          "3fff:fff:ffff::1",
                                          "4000::1",
                                          "5f00::1",
                                          "fc00::1",
                                          "fd12:3456::1",
                                          "fe80::1",
                                          "fec0::1",
                                          "ff02::1",
                                          NULL};
    (void)state;
    for (int i = 0; PRIVATE[i]; i++)
        if (is_public(PRIVATE[i]))
            fail_msg("%s is not public", PRIVATE[i]);
}

static void other_families_are_not(void **state)
{
    const struct sockaddr local = {.sa_family = AF_UNIX};
    (void)state;
    assert_false(address_is_public(&local));
}

static void this_machine_is_loopback(void **state)
{
    static const char *const OWN[] = {"127.0.0.1", "127.255.255.255", "::1", "::ffff:127.0.0.1",
                                      NULL};
    static const char *const OTHERS[] = {
        "126.255.255.255", "128.0.0.0",       "0.0.0.0", "10.0.0.1", "::", "::2",
        "::127.0.0.1",     "::ffff:10.0.0.1", NULL};
    (void)state;
    for (int i = 0; OWN[i]; i++)
        assert_true(is_of(address_is_loopback, OWN[i]));
    for (int i = 0; OTHERS[i]; i++)
        assert_false(is_of(address_is_loopback, OTHERS[i]));
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_anybody_can_reach_is_public),
        cmocka_unit_test(what_only_some_can_reach_is_not),
        cmocka_unit_test(other_families_are_not),
        cmocka_unit_test(this_machine_is_loopback),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
