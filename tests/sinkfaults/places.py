"""Where a sink runs: another process each time it is started."""

import signal

from line.process import send

from .plan import CRASHES


class Place:
    def __init__(self, line, settings):
        self.line, self.settings = line, settings
        self.stage = None
        self.wanted = True      # False: it is down on purpose.
        self.may_crash = False
        self.deaths = 0

    def start(self, crash=None):
        self.wanted, self.may_crash = True, bool(crash)
        self.stage = self.line.start_sink(METERLINE_TEST_CRASH=crash, **self.settings)

    # Strikes, each with what undoes it.

    def do_kill(self, strike):
        self.die()
        self.wanted = False
        return self.start

    def do_crash_at_a_point(self, strike):
        """The next one kills itself there, after so many times."""
        self.die()
        point = CRASHES[int(strike.roll * len(CRASHES))]
        times = 1 if point == "in_claim" else 1 + int(strike.roll * 1000) % 40
        self.start(f"{point}:{times}")

    def do_freeze(self, strike):
        stage = self.stage
        send(stage.pid, signal.SIGSTOP)
        return lambda: send(stage.pid, signal.SIGCONT)

    def do(self, strike):
        return getattr(self, "do_" + strike.kind.replace(" ", "_"))(strike)

    def die(self):
        self.deaths += self.stage.running
        self.stage.kill9()

    def tend(self):
        """One that killed itself as it was told is started again; any other end is a failure."""
        if not self.wanted or self.stage.running:
            return
        code = self.stage.wait_exit()
        assert self.may_crash and code == -signal.SIGKILL, (
            f"{self.stage.label} ended with {code} by itself\n{self.stage.log_tail()}")
        self.deaths += 1
        self.start()
