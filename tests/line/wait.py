"""Waiting for a condition, with a deadline."""

import threading
import time

FIRST_PAUSE_S = 0.005
LONGEST_PAUSE_S = 0.1


class NotInTime(AssertionError):
    pass


def wait_until(condition, timeout, what, ignore=(), explain=None):
    """Polls condition until it returns something true, and returns that. Exceptions in ignore
    count as "not yet". explain() adds to the message of NotInTime."""
    deadline = time.monotonic() + timeout
    pause_s, seen = FIRST_PAUSE_S, None
    while True:
        try:
            seen = condition()
            if seen:
                return seen
        except ignore as error:
            seen = error
        if time.monotonic() >= deadline:
            break
        pause(min(pause_s, max(0.0, deadline - time.monotonic())))
        pause_s = min(pause_s * 1.5, LONGEST_PAUSE_S)
    more = "\n" + explain() if explain else ""
    raise NotInTime(f"not within {timeout} s: {what}; last seen: {seen!r}{more}")


def pause(seconds):
    """The pause between two looks at a condition. Never use it to wait for one."""
    threading.Event().wait(seconds)
