"""Entries that stay in the stream after they are counted: the balance is exact there too."""

from line.line import STREAM
from support.aggregator import start
from support.ledger_proof import Flow, position, prove
from support.lossy_servers import counted, epochs


def unaccounted(aggregator):
    return aggregator.metric("meterline_unaccounted_events")


def wait_drained(line):
    line.wait_for(lambda: position(line).last_id ==
                  line.client().xinfo_stream(STREAM)["last-generated-id"], 30, "all is counted")


def test_nothing_is_unaccounted_while_entries_are_kept_and_trimmed_in_time(line):
    line.settings["STREAM_KEEP_S"] = 1
    aggregator = start(line)
    with Flow(line) as flow:
        for _ in range(2):
            flow.wait_added(700)
            assert unaccounted(aggregator) == 0
            assert 0 < line.client().xlen(STREAM) < flow.added * 1.1
            aggregator.kill9()
            aggregator = start(line)
            aggregator.wait_log("batch_committed")
        flow.wait_added(700)
        assert unaccounted(aggregator) == 0
    wait_drained(line)
    prove(line, flow.oracle, entries=False)
    line.wait_for(lambda: unaccounted(aggregator) == 0, 10, "the balance is exact")
    assert not any(stage.logs("balance_broken") for stage in line.stages)
    assert line.client().xlen(STREAM) < flow.added  # Some were trimmed meanwhile.


def test_entries_that_somebody_deletes_before_they_are_counted_are_told(line):
    line.settings["STREAM_KEEP_S"] = 3600
    aggregator = start(line)
    line.emit({"tenant": "a", "metric": "api_calls"} for _ in range(50))
    line.wait_for(lambda: counted(line) == 50, 20, "they are counted")
    line.wait_for(lambda: unaccounted(aggregator) == 0, 10, "the balance is known")
    aggregator.pause()
    line.emit({"tenant": "a", "metric": "api_calls"} for _ in range(10))
    gone = [id for id, _ in line.client().xrevrange(STREAM, count=3)]
    line.client().xadd(STREAM, {"tenant": "a", "metric": "api_calls"})
    line.client().xdel(STREAM, *gone)
    aggregator.resume()
    assert aggregator.wait_log("balance_broken", level="error")["unaccounted"] == "3"
    line.wait_for(lambda: unaccounted(aggregator) == 3, 10, "the metric tells of them")
    audit = line.audit()
    assert audit.exit_code == 1 and audit.streams[0]["difference"] == 3
    assert audit.streams[0]["counted"] == 58


def test_the_trimming_of_an_old_position_does_not_touch_a_stream_made_anew(line):
    """Flushed under the aggregator, with a clock that is behind: what waits there lies below the
    position that it is about to trim to."""
    aggregator = start(line)
    line.emit({"tenant": "a", "metric": "api_calls"} for _ in range(50))
    line.wait_for(lambda: counted(line) == 50, 20, "they are counted")
    aggregator.pause()
    line.emit({"tenant": "b", "metric": "api_calls"} for _ in range(5))
    aggregator.resume()
    line.wait_for(lambda: counted(line) == 55, 20, "they are counted")
    line.client().flushall()
    for n in range(20):
        line.xadd(entry_id=f"{n + 1}000-0", tenant="c", metric="api_calls")
    line.xadd(tenant="c", metric="api_calls")  # This one is read on.
    aggregator.wait_log("epoch_opened")
    line.wait_for(lambda: line.value("SELECT sum(counted) FROM (SELECT counted FROM stream_positions"
                                     " UNION ALL SELECT counted FROM stream_epochs) x") == 76, 20,
                  "all of them count")
    wait_drained(line)
    assert len(epochs(line)) == 2
