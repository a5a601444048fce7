"""The sandbox's clock: real time plus an offset that tests may move."""
import time
from contextlib import contextmanager
from datetime import datetime, timezone
from email.utils import formatdate


class Clock:
    def __init__(self):
        self.offset_s = 0
        self.held = None        # a moment at which something that was due is done
        self._second, self._date = -1, ""

    def now(self):
        return time.time() + self.offset_s if self.held is None else self.held

    def now_s(self):
        return int(self.now())

    @contextmanager
    def at(self, moment):
        self.held = moment
        try:
            yield
        finally:
            self.held = None

    def http_date(self):
        second = self.now_s()
        if second != self._second:
            self._second, self._date = second, formatdate(second, usegmt=True)
        return self._date


def rfc3339(seconds):
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def parse_rfc3339(text):
    """Unix seconds; ValueError if it is no time with a zone."""
    moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    if moment.tzinfo is None:
        raise ValueError("no zone")
    return int(moment.timestamp())
