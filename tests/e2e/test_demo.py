"""The first use: the demo proves its numbers, and leaves nothing behind however it ends."""

import os
import pty
import re
import signal
import subprocess

import pytest

from line import process, wait_until
from line.paths import ROOT

RUN = ["/usr/bin/python3", str(ROOT / "tests" / "demo" / "run.py")]


def environment(**settings):
    env = {**process.clean_env(), "METERLINE_BIN": os.environ.get("METERLINE_BIN", "build/bin")}
    # Foreign servers in sight, which it must not touch: nobody listens there.
    env.update(DATABASE_URL="postgresql://127.0.0.1:1/none", REDIS_URL="redis://127.0.0.1:1",
               PGHOST="nowhere")
    return {**env, **settings}


def descendants(pid):
    found = process.children_of(pid)
    return found + [other for child in found for other in descendants(child)]


def test_it_proves_its_numbers_and_stays_on_a_terminal_until_ctrl_c():
    ours, theirs = pty.openpty()
    demo = subprocess.Popen(RUN, stdin=theirs, stdout=theirs, stderr=theirs,
                            env=environment(TERM="xterm"), start_new_session=True)
    os.close(theirs)
    text = read_until(ours, "until Ctrl-C.*Stripe holds")
    pids = descendants(demo.pid)
    assert len(pids) >= 6
    demo.send_signal(signal.SIGINT)
    text += read_until(ours)
    assert demo.wait(30) == 0, text
    for claim in ("Stripe's totals equal ours", "every event is accounted for",
                  "the audit balances"):
        assert f"yes  {claim}" in text
    assert "200 of 200 equal" in text and "audit ok" in text
    wait_until(lambda: not any(map(process.is_alive, pids)), 15, f"{pids} are gone")


def read_until(terminal, pattern=None):
    """The terminal's text until it matches; without a pattern, all until the other side closes."""
    text = ""
    while not (pattern and re.search(pattern, text, re.DOTALL)):
        try:
            some = os.read(terminal, 65536)
        except OSError:  # How a closed pseudo-terminal reads.
            some = b""
        if not some:
            assert not pattern, text
            return text
        text += some.decode(errors="replace")
    return text


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_it_leaves_no_process_behind_when_ended_early(number):
    demo = subprocess.Popen(RUN, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                            env=environment())
    for text in demo.stdout:
        if "Tables and catalog" in text:
            break
    pids = descendants(demo.pid)
    assert len(pids) >= 3
    demo.send_signal(number)
    demo.communicate(timeout=30)
    assert demo.returncode != 0
    wait_until(lambda: not any(map(process.is_alive, pids)), 15, f"{pids} are gone")


@pytest.mark.parametrize("external", ["0", "1"])
def test_it_refuses_to_run_beside_a_live_key(external):
    done = process.run(RUN, env=environment(RUN_EXTERNAL=external,
                                            STRIPE_SECRET_KEY="sk_live_anything"))
    assert done.returncode == 2 and "live key" in done.stderr
    assert "sk_live_anything" not in done.stdout + done.stderr
