"""Fixtures of the end-to-end tests: each test has its own servers in a folder of its own."""

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


@pytest.fixture
def line(folder, request):
    """Servers up, schema and catalog in place, no stage started."""
    own = Line(folder)
    request.node.meterline = own
    try:
        own.start_servers()
        own.migrate()
        own.catalog()
        yield own
    finally:
        own.close()


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
