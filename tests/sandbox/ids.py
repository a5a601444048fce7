"""Ids that look like Stripe's; a seed makes them repeat."""
import random
import string

ALPHABET = string.ascii_letters + string.digits


class Ids:
    def __init__(self, seed):
        self.random = random.Random(seed)
        self._request_prefix = "req_" + self._letters(8)
        self._requests = 0

    def _letters(self, n):
        return "".join(self.random.choices(ALPHABET, k=n))

    def new(self, prefix, n=14):
        return "%s_%s" % (prefix, self._letters(n))

    def request(self):
        """Counted, not drawn: every request needs one."""
        self._requests += 1
        return "%s%06x" % (self._request_prefix, self._requests)
