"""The account's rate limit: a token bucket that holds one second's worth of calls."""
import time

from .errors import rate_limited


class Limiter:
    def __init__(self, rate_per_s):
        self.rate_per_s = rate_per_s
        self.tokens = float(rate_per_s)
        self.at = time.monotonic()
        self.refused = 0

    def take(self):
        if not self.rate_per_s:
            return
        now = time.monotonic()
        self.tokens = min(self.rate_per_s, self.tokens + (now - self.at) * self.rate_per_s)
        self.at = now
        if self.tokens < 1:
            self.refused += 1
            raise rate_limited("global-rate", "Request rate limit exceeded. Learn more about rate "
                               "limits here: https://stripe.com/docs/rate-limits.")
        self.tokens -= 1
