"""A line whose clock is moved by faketime: PostgreSQL, which all times of submissions come from, the
sandbox, and the stages that are started afterwards."""

import glob
import os

from line import Postgres


class MovedPostgres(Postgres):
    offset_s = 0

    def command(self):
        moved = [f"{name}={value}" for name, value in faketime(self.offset_s).items()]
        return ["env", *moved, *super().command()]


def faketime(offset_s):
    """The environment of a program whose time of day is so much later; its monotonic clock is true."""
    library, = glob.glob("/usr/lib/*/faketime/libfaketime.so.1")
    # A preloaded library comes before that of the sanitizers, which they tell of unless told not to.
    sanitizers = ":".join(filter(None, [os.environ.get("ASAN_OPTIONS"), "verify_asan_link_order=0"]))
    return {"LD_PRELOAD": library, "FAKETIME": f"{offset_s:+d}", "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "ASAN_OPTIONS": sanitizers}


def move_clock(line, offset_s):
    """From now on it is so much later than it is. line: one with a MovedPostgres, whose sandbox runs."""
    line.postgres.offset_s = offset_s
    line.postgres.restart()
    line._disconnect()
    line.wait_for(lambda: line.value("SELECT true"), 20, "PostgreSQL is back")
    line.sandbox.clock(offset_s)
    line.settings.update(faketime(offset_s))
