"""Aggregators, Redis, PostgreSQL and the network fail at random under load, and each event counts once.

    CHAOS_S=50   seconds of it, in all rounds together
    SEED=…       what a soak printed: its decisions once more"""

import pytest

from chaos.field import servers
from chaos.run import Round
from line import Line
from support.seeds import new_seed, seconds

pytestmark = pytest.mark.long

SECONDS = seconds("CHAOS_S", 50, 180)
FIXED = 1284    # Four streams, three aggregators, little memory, and 23 of 27 kinds of faults in its short rounds.
PAIR_S = 600  # A longer run has more rounds: the oracle keeps a whole one in memory.
PAIRS = max(1, round(SECONDS / PAIR_S))


@pytest.fixture
def chaos(folder, request):
    """A function that runs a round on servers of its own; all ends, whatever happens."""
    opened = []

    def run(lossy, number, seconds):
        own = Line(folder, **servers(folder, lossy))
        request.node.meterline = own
        opened.append(own)
        own.start_servers()
        own.migrate()
        Round(own, f"{new_seed(FIXED)}.{number}", seconds, lossy).run()

    yield run
    for own in opened:
        own.close()


@pytest.mark.parametrize("number", range(PAIRS))
def test_what_redis_acknowledged_counts_once_whatever_fails(chaos, number):
    chaos(False, number, SECONDS / PAIRS * 0.6)


@pytest.mark.parametrize("number", range(PAIRS))
def test_what_redis_lost_and_got_again_counts_once_whatever_fails(chaos, number):
    chaos(True, number, SECONDS / PAIRS * 0.4)
