"""Another number of streams."""

import time

from support.shard_flow import owners, spread

SHARDS = 4


def use_shards(line, shards=SHARDS):
    line.settings["METERLINE_STREAM_SHARDS"] = str(shards)
    line.sql("UPDATE ledger_state SET value = %s WHERE name = 'stream_shards'", shards)


def wait_spread(line, expected, timeout=20, shards=SHARDS):
    """Seconds until the streams are spread like that."""
    began = time.monotonic()
    line.wait_for(lambda: spread(line, shards) == expected, timeout,
                  f"the streams are spread as {expected}: {owners(line, shards)}")
    return time.monotonic() - began


def reshard(line, shards, is_set=True):
    line.must("meterctl", "reshard", shards, timeout=120)
    line.settings["METERLINE_STREAM_SHARDS"] = str(shards) if is_set else None
