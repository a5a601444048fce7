"""Stripe fails in every way that it can, and sinks are killed at random, and each unit is billed once.

    FAULTS_S=10  seconds of it, for each transport
    SEED=…       what a soak printed: its decisions once more"""

import pytest

from line import Line
from sinkfaults.edge import EdgeRound
from sinkfaults.run import Round
from sinkfaults.stored import StoredRound
from sinkfaults.transports import TRANSPORTS
from support.moved_clock import MovedPostgres
from support.seeds import new_seed, seconds

pytestmark = pytest.mark.long

SECONDS = seconds("FAULTS_S", 10, 60)
FIXED = 2494    # Sinks are killed, crash and freeze in its short rounds, and Stripe has most kinds of bad moments.

each_transport = pytest.mark.parametrize("transport", TRANSPORTS, ids=lambda each: each.name)


@pytest.fixture
def moved(folder, request):
    """A line whose clock may be moved, with the schema in place."""
    line = Line(folder, postgres=MovedPostgres(folder))
    request.node.meterline = line
    try:
        line.start_servers()
        line.migrate()
        yield line
    finally:
        line.close()


@each_transport
def test_each_unit_is_billed_once_whatever_fails(line, transport):
    Round(line, f"{new_seed(FIXED)}.{transport.name}", SECONDS, transport).run()


@each_transport
def test_across_a_months_end_and_changes_of_plans(moved, transport):
    EdgeRound(moved, new_seed(FIXED), transport).run()


def test_failures_that_stripe_stores_and_three_sinks_that_are_killed(moved):
    StoredRound(moved, new_seed(FIXED), SECONDS).run()
