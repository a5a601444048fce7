"""Who may call: any secret or restricted test key, unless it was told otherwise.

A restricted key may do all as well, but what it is told not to: paths with "GET " or "POST " before
them, or without for both.
"""
import base64

from .errors import StripeError, bad_key, no_key

KINDS = ("sk_test_", "rk_test_")


class Keys:
    def __init__(self):
        self.expired = set()
        self.refused = {}       # key -> ("GET /v1/prices", "/v1/webhook_endpoints", …)

    def set(self, key, expired=False, refused=()):
        (self.expired.add if expired else self.expired.discard)(key)
        self.refused[key] = tuple(refused)

    def check(self, call):
        key = key_of(call.headers.get("authorization"))
        if not key.startswith(KINDS) or len(key) <= len(KINDS[0]):
            raise bad_key(key)
        if key in self.expired:
            raise StripeError(401, "Expired API Key provided: %s" % shown(key),
                              code="api_key_expired")
        for part in self.refused.get(key, ()):
            method, _, path = part.rpartition(" ")
            if method in ("", call.method) and call.path.startswith(path):
                raise StripeError(403, "The provided key '%s' does not have the required "
                                  "permissions for this endpoint." % shown(key))


def shown(key):
    return key[:8] + "*" * 8


def key_of(header):
    """As Bearer or as the user of Basic."""
    if not header:
        raise no_key()
    scheme, _, key = header.partition(" ")
    if scheme.lower() == "basic":
        try:
            key = base64.b64decode(key).decode().partition(":")[0]
        except ValueError:
            key = ""
    if not key.strip():
        raise no_key()
    return key.strip()
