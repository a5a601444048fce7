#include "common/lease_owner.h"

#include <sodium.h>
#include <stdio.h>

void lease_owner_name(const char *who, char out[LEASE_OWNER_SIZE])
{
    unsigned char random[8];
    char hex[2 * sizeof random + 1];
    randombytes_buf(random, sizeof random);
    sodium_bin2hex(hex, sizeof hex, random, sizeof random);
    snprintf(out, LEASE_OWNER_SIZE, "%.20s-%s", who, hex);
}
