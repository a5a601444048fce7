"""Fixtures of the end-to-end tests. The servers of a `line` are those of all tests in this process, unless
the test is marked own_servers; all else of it is in a folder of its own."""

import itertools
import os
import pathlib
import re
import shutil
import sys

import pytest

TESTS = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TESTS))

from line import Line, Postgres, Redis  # noqa: E402
from line.claim import claim_folder  # noqa: E402
from line.paths import BUILD  # noqa: E402
from line.shared import ADVICE, SharedServers  # noqa: E402
from support.sink import shop  # noqa: E402, F401 Modules may have a shop of their own.

# Client libraries read these on their own; no test may depend on the machine's.
for name in list(os.environ):
    if name.startswith(("PG", "STRIPE_", "METERLINE_TEST")) or name in ("DATABASE_URL",
                                                                         "REDIS_URL"):
        del os.environ[name]


@pytest.fixture
def folder(request):
    """build/test/<name>: gone after the test, unless it failed."""
    module = request.node.path.stem.removeprefix("test_")
    name = re.sub(r"[^A-Za-z0-9_.-]+", "-", f"{module}.{request.node.name.removeprefix('test_')}")
    path, claim = claim_folder(BUILD / "test", name[:80])
    yield path
    if not failed(request):
        shutil.rmtree(path, ignore_errors=True)
    claim.release()


@pytest.fixture
def redis_server(folder):
    server = Redis(folder)
    server.start()
    yield server
    server.close()


@pytest.fixture
def postgres_server(folder):
    server = Postgres(folder)
    server.start()
    yield server
    server.close()


@pytest.fixture(scope="session")
def servers():
    path, claim = claim_folder(BUILD / "test", "servers")
    shared = SharedServers(path)
    yield shared
    shared.close()
    shutil.rmtree(path, ignore_errors=True)
    claim.release()


@pytest.fixture
def postgres_conf():
    """Settings of a line's own PostgreSQL that are not the usual ones; a module's fixture of this name wins."""
    return {}


@pytest.fixture
def line(folder, request, servers, postgres_conf):
    """Servers up, schema and catalog in place, no stage started."""
    alone = request.node.get_closest_marker("own_servers")
    own = Line(folder, postgres=Postgres(folder, **postgres_conf)) if alone else Line(folder, **servers.lines())
    request.node.meterline = own
    try:
        if alone:
            own.postgres.origin = servers.migrated()
            own.start_servers()
        yield own
    finally:
        own.close()
        harm = "" if alone else servers.harm()
    assert not harm, f"other tests use these servers too, so {ADVICE}:\n{harm}"


def pytest_configure(config):
    config.addinivalue_line("markers", "own_servers: it stops, configures, fills or cuts servers, or looks "
                                       "at what they tell of themselves, so its line has servers alone")
    config.addinivalue_line("markers", "long: it takes most of a minute, so it begins before others")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items):
    """Long ones begin first, so that nobody waits for them at the end. xdist gives each process a quarter of its
    share as one piece of this order, and the rest by and by: so each piece begins with some of them."""
    processes = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    long = [item for item in items if item.get_closest_marker("long")]
    others = iter([item for item in items if not item.get_closest_marker("long")])
    piece = max(len(items) // processes // 4, 2)
    ordered = []
    for n in range(processes):
        first = long[n::processes]
        ordered += [*first, *itertools.islice(others, max(piece - len(first), 0))]
    items[:] = [*ordered, *others]


def failed(request):
    reports = getattr(request.node, "reports", {})
    return any(report.failed for report in reports.values())


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """Under each failure: the last log lines of every piece of the line."""
    outcome = yield
    report = outcome.get_result()
    item.__dict__.setdefault("reports", {})[report.when] = report
    own = getattr(item, "meterline", None)
    if own and report.failed:
        report.sections.append((f"logs of the line ({own.folder})", own.log_tails()))
