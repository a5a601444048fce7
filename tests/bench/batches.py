"""Throughput against the size of a batch: the same stream again and again, each time from an empty
database."""

from line.line import STREAM
from line.postgres_template import DATABASE

from . import proof, settings
from .ground import fill, open_line, tell_load
from .readers import drain, read_floor

EMPTY = "bench_empty"


def run():
    entries, tenants = settings.BATCHES_EVENTS, settings.BATCHES_TENANTS
    print(f"\nbatches: {entries:,} events, {tenants:,} tenants, no repeats", flush=True)
    with open_line("batches") as line:
        tell_load("filling")
        emitted = fill(line, entries, tenants, 0)
        line.client().copy(STREAM, STREAM, destination_db=1)
        ask_server(line, f"CREATE DATABASE {EMPTY} TEMPLATE {DATABASE}")
        floor = read_floor(line)
        points = [run_size(line, size, emitted) for size in settings.BATCHES]
    return {"entries": entries, "tenants": tenants, "floor": floor.as_json(), "points": points}


def run_size(line, size, emitted):
    start_over(line)
    drained = drain(line, emitted.entries, AGGREGATOR_BATCH_MAX=size)
    return {"batch_max": size, **drained.as_json(), "faults": proof.find_faults(line, emitted)}


def start_over(line):
    line.client().flushdb()
    with line.redis.client(db=1) as keeper:
        keeper.copy(STREAM, STREAM, destination_db=0)
    ask_server(line, f"DROP DATABASE {DATABASE}", f"CREATE DATABASE {DATABASE} TEMPLATE {EMPTY}")


def ask_server(line, *statements):
    line._disconnect()
    connection = line.postgres.connect(line.postgres.url_of("postgres", "postgres"))
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
    connection.close()


def tell(result):
    print(f"\n  {'events a batch':<18}{'events/s':>11}{'of the floor':>14}{'CPU s':>8}{'peak MiB':>10}")
    for point in result["points"]:
        ratio = point["per_s"] / result["floor"]["per_s"]
        print(f"  {point['batch_max']:<18,}{point['per_s']:>11,}{ratio:>14.2f}{point['cpu_s']:>8.2f}"
              f"{point['peak_mib']:>10.0f}")
        for fault in point["faults"]:
            print(f"  WRONG: {fault}")
