/* Whether a URL that somebody else wrote may lead to an address: a tenant's own, or where an answer
 * redirects to. It must not lead to what only this machine, or only this network, can reach: other
 * services, the cloud's metadata. Pure.
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

/* This machine: 127.0.0.0/8 and ::1, also mapped into IPv6. */
bool address_is_loopback(const struct sockaddr *address);

#endif
