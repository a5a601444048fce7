#include "common/http/address_rule.h"

#include <netinet/in.h>
#include <stdint.h>
#include <string.h>

struct network {
    unsigned char prefix[16];
    int bits;
};

static const struct network NOT_PUBLIC_V4[] = {
    {{0}, 8},             /* this network (RFC 791) */
    {{10}, 8},            /* private (RFC 1918) */
    {{100, 64}, 10},      /* shared by carriers (RFC 6598) */
    {{127}, 8},           /* loopback */
    {{169, 254}, 16},     /* link-local, and the metadata of clouds */
    {{172, 16}, 12},      /* private */
    {{192, 0, 0}, 24},    /* protocol assignments (RFC 6890) */
    {{192, 0, 2}, 24},    /* documentation */
    {{192, 88, 99}, 24},  /* 6to4 relays (RFC 7526) */
    {{192, 168}, 16},     /* private */
    {{198, 18}, 15},      /* benchmarks (RFC 2544) */
    {{198, 51, 100}, 24}, /* documentation */
    {{203, 0, 113}, 24},  /* documentation */
    {{224}, 4},           /* multicast */
    {{240}, 4},           /* reserved, and broadcast */
};

/* Of those that are global unicast. */
static const struct network NOT_PUBLIC_V6[] = {
    {{0x20, 0x01}, 23},             /* protocol assignments, Teredo among them */
    {{0x20, 0x01, 0x0d, 0xb8}, 32}, /* documentation */
    {{0x3f, 0xff}, 20},             /* documentation (RFC 9637) */
};

static const struct network GLOBAL_UNICAST = {{0x20}, 3};
static const struct network SIX_TO_FOUR = {{0x20, 0x02}, 16};
static const struct network MAPPED = {{[10] = 0xff, [11] = 0xff}, 96};
static const struct network NAT64 = {{0x00, 0x64, 0xff, 0x9b}, 96}; /* RFC 6052 */

static bool is_in(const unsigned char *address, const struct network *n)
{
    int bytes = n->bits / 8;
    unsigned mask = 0xff00u >> (n->bits % 8) & 0xffu;
    return memcmp(address, n->prefix, (size_t)bytes) == 0 &&
           (n->bits % 8 == 0 || (address[bytes] & mask) == n->prefix[bytes]);
}

static bool is_in_one(const unsigned char *address, const struct network *list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (is_in(address, &list[i]))
            return true;
    return false;
}

static bool v4_is_public(const unsigned char *address)
{
    return !is_in_one(address, NOT_PUBLIC_V4, sizeof NOT_PUBLIC_V4 / sizeof *NOT_PUBLIC_V4);
}

static bool v6_is_public(const unsigned char *address)
{
    if (is_in(address, &MAPPED) || is_in(address, &NAT64))
        return v4_is_public(address + 12);
    if (is_in(address, &SIX_TO_FOUR))
        return v4_is_public(address + 2);
    return is_in(address, &GLOBAL_UNICAST) &&
           !is_in_one(address, NOT_PUBLIC_V6, sizeof NOT_PUBLIC_V6 / sizeof *NOT_PUBLIC_V6);
}

/* An IPv4 address as IPv6 has it, mapped. Returns -1 for another family. */
static int read_address(const struct sockaddr *address, unsigned char out[16])
{
    if (address->sa_family == AF_INET) {
        struct sockaddr_in v4;
        memcpy(&v4, address, sizeof v4);
        memcpy(out, MAPPED.prefix, 12);
        memcpy(out + 12, &v4.sin_addr, 4);
        return 0;
    }
    if (address->sa_family == AF_INET6) {
        struct sockaddr_in6 v6;
        memcpy(&v6, address, sizeof v6);
        memcpy(out, v6.sin6_addr.s6_addr, 16);
        return 0;
    }
    return -1;
}

bool address_is_public(const struct sockaddr *address)
{
    unsigned char bytes[16];
    return read_address(address, bytes) == 0 && v6_is_public(bytes);
}

bool address_is_loopback(const struct sockaddr *address)
{
    static const unsigned char ITSELF[16] = {[15] = 1};
    unsigned char bytes[16];
    if (read_address(address, bytes))
        return false;
    return memcmp(bytes, ITSELF, 16) == 0 || (is_in(bytes, &MAPPED) && bytes[12] == 127);
}
