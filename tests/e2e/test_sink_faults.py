"""Stripe fails in every way that it can, and sinks are killed at random, and each unit is billed once.

    FAULTS_S=30  seconds of it, for each transport
    SEED=…       what a run printed: its decisions once more"""

import os
import secrets

import pytest

from sinkfaults.run import Round
from sinkfaults.transports import TRANSPORTS

SECONDS = int(os.environ.get("FAULTS_S") or 30)
SEED = os.environ.get("SEED") or str(secrets.randbelow(10**9))


@pytest.mark.parametrize("transport", TRANSPORTS, ids=lambda transport: transport.name)
def test_each_unit_is_billed_once_whatever_fails(line, transport):
    Round(line, SEED, SECONDS, transport).run()
