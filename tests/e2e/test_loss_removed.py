"""Somebody else's hand in the stream: a group that is dropped loses nothing, and what is removed before it is
counted is named, and booked as lost by a command."""

import pytest

from line.line import STREAM
from support.aggregator import start
from support.ledger_proof import position
from support.lossy_servers import counted, epochs, held


def emit(line, count, note):
    line.emit({"tenant": "a", "metric": "api_calls", "id": f"{note} {n}"} for n in range(count))


def wait_counted(line, count):
    line.wait_for(lambda: counted(line) == count, 30, f"{count} are counted")


def unaccounted(aggregator):
    return aggregator.metric("meterline_unaccounted_events")


@pytest.mark.parametrize("keep_s", [0, 3600])
@pytest.mark.parametrize("running", [True, False], ids=["while it runs", "while nobody runs"])
def test_a_group_that_somebody_drops_loses_nothing(line, keep_s, running):
    aggregator = start(line, STREAM_KEEP_S=keep_s)
    emit(line, 200, "before")
    wait_counted(line, 200)
    line.wait_for(lambda: unaccounted(aggregator) == 0, 10, "it balances")
    (aggregator.pause if running else aggregator.term)()
    assert line.client().xgroup_destroy(STREAM, "aggregator")
    emit(line, 300, "after")
    if running:
        aggregator.resume()
    else:
        aggregator = start(line, STREAM_KEEP_S=keep_s)
    wait_counted(line, 500)
    line.wait_for(lambda: [group["entries-read"] for group in line.client().xinfo_groups(STREAM)] == [500],
                  20, "the group is there again")
    (balance,) = epochs(line).values()
    assert (balance["added"], balance["counted"], balance["lost"], balance["duplicates"]) == (500, 500, 0, 0)
    line.wait_for(lambda: unaccounted(aggregator) == 0, 10, "it balances")
    assert not aggregator.logs("epoch_opened") and not held(line)
    assert line.audit().ok


@pytest.mark.parametrize("rest", [0, 7], ids=["all of them", "some"])
def test_waiting_entries_that_somebody_removes_are_named_and_booked(line, rest):
    aggregator = start(line)
    emit(line, 50, "before")
    wait_counted(line, 50)
    removed = 600 - rest
    step = line.client().pipeline(transaction=True)  # Nobody reads between.
    for n in range(600):
        step.xadd(STREAM, {"tenant": "a", "metric": "api_calls", "id": f"waiting {n}"})
    step.xtrim(STREAM, maxlen=rest, approximate=False)
    step.execute()
    wait_counted(line, 50 + rest)
    told = aggregator.wait_log("balance_broken", level="error")
    assert told["unaccounted"] == str(removed) and "meterctl stream lost" in told["msg"]
    line.wait_for(lambda: unaccounted(aggregator) == removed, 10, "the gauge tells what the audit does")
    audit = line.audit()
    assert audit.exit_code == 1 and audit.streams[0]["difference"] == removed
    assert f"audit stream={STREAM} removed={removed} by somebody else" in audit.text

    told = line.meterctl("stream", "lost")
    assert told.returncode == 1 and f"stream={STREAM} epoch=1 removed={removed}" in told.stdout
    assert position(line).lost == 0
    done = line.must("meterctl", "stream", "lost", "--yes")
    assert f"stream={STREAM} epoch=1 booked lost={removed}" in done.stdout
    assert line.audit().ok, line.audit().text
    (balance,) = epochs(line).values()
    assert (balance["lost"], balance["difference"]) == (removed, 0)
    assert str(removed) in line.must("meterctl", "lost", "list").stdout
    line.wait_for(lambda: unaccounted(aggregator) == 0, 20, "the aggregator knows")

    emit(line, 20, "at last")
    wait_counted(line, 70 + rest)
    aggregator.kill9()
    start(line).wait_log("stream_opened")
    emit(line, 5, "after a kill")
    wait_counted(line, 75 + rest)
    assert line.audit().ok and not held(line)
    again = line.must("meterctl", "stream", "lost", "--yes")
    assert again.stdout == "no entries were removed before they were counted\n"


def test_entries_of_a_lost_commit_are_no_removal(line):
    """The ledger is behind the stream: that is the aggregator's to find, and sinks must hold."""
    aggregator = start(line)
    emit(line, 50, "before")
    wait_counted(line, 50)
    aggregator.term()
    line.sql("UPDATE stream_positions SET counted = counted - 10, last_id = '1-0'")
    told = line.meterctl("stream", "lost", "--yes")
    assert told.returncode == 1 and "aggregator" in told.stderr
    assert position(line).lost == 0
