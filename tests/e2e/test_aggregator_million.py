"""A million entries of anything: each is counted, duplicate, conflict or rejected, in balance, and
memory stays flat."""

import os
import pathlib
import time

import pytest

from support.ledger_proof import assert_balanced, position, reasons, settle
from support.random_entries import RandomEntries, send
from support.seeds import new_seed

ENTRIES = 1_000_000
# What memory may grow by from one half to the other, beside the ids it must know: nearly nothing, but under ASan, whose
# allocator spreads what is used in turn.
SPARE_MIB = 12
REASONS = {"missing_field", "bad_field", "too_large", "bad_quantity", "bad_timestamp", "too_old",
           "in_future", "unknown_metric", "unknown_retraction", "conflict"}


@pytest.mark.long
def test_a_million_random_entries_are_accounted_for_in_flat_memory(line):
    seed = new_seed()
    entries = RandomEntries(seed)
    # Memory that was freed is to be used again at once, where a sanitizer would keep it.
    options = os.environ.get("ASAN_OPTIONS", "") + ":quarantine_size_mb=1"
    halves = []
    stage = None
    for half in (1, 2):
        began = time.monotonic()
        assert send(line, entries.commands(ENTRIES // 2)) == ENTRIES // 2
        sent_s = time.monotonic() - began
        # Behind a backlog batches are as large as they get, in the first half already.
        stage = stage or line.start_aggregator(ASAN_OPTIONS=options, AGGREGATOR_BATCH_MAX=5000)
        settle(line, 300)
        resident, peak = (memory_mib(stage.pid, name) for name in ("VmRSS", "VmHWM"))
        table = int(stage.metric("meterline_dedupe_bytes")) / 2**20
        halves.append(resident - table)
        print(f"half {half}: sent in {sent_s:.1f} s, counted {time.monotonic() - began:.1f} s "
              f"after the first; {resident:.1f} MiB, of these {table:.1f} of ids; peak {peak:.1f}")
    assert halves[1] <= halves[0] + SPARE_MIB, halves

    audit = assert_balanced(line)
    assert audit.total("added") == ENTRIES
    at = position(line)
    seen = {kind: getattr(at, kind) for kind in ("counted", "duplicates", "conflicts", "rejected")}
    print(seen, dict(reasons(line)))
    assert sum(seen.values()) == ENTRIES
    assert all(count > ENTRIES // 100 for count in seen.values()), seen
    assert set(reasons(line)) >= REASONS


def memory_mib(pid, name):
    """Of /proc/PID/status, which has kB."""
    for text in pathlib.Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines():
        key, _, value = text.partition(":")
        if key == name:
            return int(value.split()[0]) / 1024
    raise AssertionError(f"{name} is not told")
