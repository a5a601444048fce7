"""The stand-in for Stripe (stripe.c), and how fast a bare client (ceiling.c) finds it."""

import contextlib
import json
import subprocess
import sys
import urllib.request

from line import logfmt, process

from . import settings


class StandIn:
    def __init__(self, child, port):
        self.child = child
        self.port = port
        self.url = f"http://127.0.0.1:{port}"

    def received(self):
        with urllib.request.urlopen(f"{self.url}/received") as answer:
            return json.load(answer)


@contextlib.contextmanager
def open_stand_in():
    child = process.spawn([settings.TOOLS / "stripe", settings.SINK_DELAY_MS],
                          stderr=subprocess.PIPE, text=True)
    try:
        told = logfmt.pairs(child.stderr.readline())
        yield StandIn(child, int(told["address"].rpartition(":")[2]))
    finally:
        child.kill()
        child.wait()
        child.stderr.close()


def measure_ceiling(events_per_call):
    """Calls/s of a bare client, with as many in flight as the sink has."""
    with open_stand_in() as stand_in:
        done = process.run([settings.TOOLS / "ceiling", stand_in.port, settings.SINK_IN_FLIGHT,
                            settings.SINK_CEILING_S, events_per_call], timeout=None)
        if done.returncode != 0:
            sys.exit(f"ceiling ended with {done.returncode}: {done.stderr}")
        calls, seconds = done.stdout.split()
        events = stand_in.received()["events"]
    if events != int(calls) * events_per_call:
        sys.exit(f"the stand-in has {events} events of {calls} calls")
    return int(calls) / float(seconds)
