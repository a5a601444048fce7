/* Whether a tenant's URL may lead to an address. It is the tenant who writes the URL, so that it
 * must not lead to what only this machine, or only this network, can reach: other services, the
 * cloud's metadata. Pure.
 *
 * Allowed is what IANA's registries of special-purpose addresses call globally reachable (RFC 6890;
 * https://www.iana.org/assignments/iana-ipv4-special-registry and …ipv6-special-registry), and no
 * multicast. An IPv6 address that stands for an IPv4 one (mapped, NAT64, 6to4) is judged by that
 * one. */
#ifndef METERLINE_ADDRESS_RULE_H
#define METERLINE_ADDRESS_RULE_H

#include <stdbool.h>
#include <sys/socket.h>

bool address_is_public(const struct sockaddr *address);

#endif
