"""Twenty thousand entries of anything, and the ledger holds exactly what the rules say."""

from support.aggregator import CATALOG, apply, start
from support.ledger_proof import Emitter, prove, settle
from support.odd_entries import Chaos
from support.seeds import new_seed

ENTRIES = 20_000


def test_anything_at_all_is_accounted_for(line):
    seed = new_seed()
    chaos = Chaos(seed)
    emitter = Emitter(line, apply(line, CATALOG))
    crashes = ["after_commit:2", "in_transaction:3", "while_reading:4"]
    for _ in range(20):
        emitter.add_all([chaos.entry() or [("lonely", "field")] for _ in range(ENTRIES // 20)])
        chaos.entry_ids = [entry_id for entry_id, _, _ in emitter.oracle.entries]
        if not line.stages or not line.stages[-1].running:
            start(line, AGGREGATOR_BATCH_MAX=chaos.random.choice([300, 1111, 5000]),
                  METERLINE_TEST_CRASH=crashes.pop(0) if crashes else None)
    line.stages[-1].kill9()
    start(line)
    settle(line)
    prove(line, emitter.oracle)
    assert len(emitter.oracle.entries) == ENTRIES
