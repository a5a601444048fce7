"""The examples of docs/emitting.md: an event arrives, also when Redis is away at first, and counts once under its id."""

import asyncio
import concurrent.futures
import copy
import importlib.util
import json
import os
import socket
import subprocess
import sys
import time
import types
import urllib.error

import pytest

from line import Line, wait_until
from line.paths import CATALOG, ROOT
from line.process import clean_env
from support import library_build
from support.ai_payloads import LITELLM

FOLDER = ROOT / "docs" / "examples"
EXAMPLES = sorted(FOLDER.glob("emit.*"))
KEY = "key-of-acme-12345"


@pytest.fixture(name="line")
def line_fixture(folder):
    """Redis alone."""
    own = Line(folder)
    try:
        own.redis.start()
        yield own
    finally:
        own.close()


def made(example, folder):
    """A program, and what it needs in its environment."""
    if example.suffix != ".c":
        return example, {}
    library_build.install(folder)
    library_build.compile_against(folder, example, folder / "emit")
    return folder / "emit", library_build.environment(folder)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_an_example_emits_until_redis_has_it(line, example, tmp_path):
    program, own = made(example, tmp_path)
    env = {**clean_env(), **own, "REDIS_URL": line.redis.url, "NODE_PATH": os.environ.get("NODE_PATH", "/usr/share/nodejs")}
    line.redis.stop()
    waiting = subprocess.Popen([program, "acme", "api_calls", "1.5", "order-7"], env=env, stdout=subprocess.PIPE, text=True)
    with socket.create_server(("127.0.0.1", line.redis.port)) as dead:  # It tries, and again.
        dead.settimeout(60)
        for _ in range(2):
            dead.accept()[0].close()
    line.redis.start()
    out, _ = waiting.communicate(timeout=60)
    assert waiting.returncode == 0
    wait_until(lambda: line.client().xlen("usage:events") == 1, 20, "it is there")
    (entry, fields), = line.client().xrange("usage:events")
    assert {name: fields[name] for name in ("tenant", "metric", "quantity", "id")} == {
        "tenant": "acme", "metric": "api_calls", "quantity": "1.5", "id": "order-7"}
    assert abs(int(fields["ts"]) - time.time() * 1000) < 120_000
    assert out.strip() == ("" if example.suffix == ".c" else entry)  # The library tells no entry: it sends later.


@pytest.fixture(name="logger")
def logger_fixture(line, monkeypatch):
    """LiteLLM's logger, with a base class as LiteLLM's is; and an emitter without a spool."""
    base = types.ModuleType("litellm.integrations.custom_logger")
    base.CustomLogger = type("CustomLogger", (), {})
    for name, module in (("litellm", types.ModuleType("litellm")), ("litellm.integrations", types.ModuleType("litellm.integrations")),
                         (base.__name__, base)):
        monkeypatch.setitem(sys.modules, name, module)
    spec = importlib.util.spec_from_file_location("litellm_logger", FOLDER / "litellm_logger.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    catalog = {**json.loads(CATALOG.read_text(encoding="utf-8")),
               "gateway_usage": [{"kind": kind, "metric": "llm_tokens", "dimensions": ["model", "kind"]} for kind in ("input", "output")]}
    (line.folder / "catalog.json").write_text(json.dumps(catalog), encoding="utf-8")
    daemon = line.start_emitter(EMITTER_CATALOG=str(line.folder / "catalog.json"), EMITTER_WAIT_MS="200", EMITTER_KEYS=f"{KEY}=acme").wait_ready()
    monkeypatch.setenv("EMITTER_URL", f"http://127.0.0.1:{daemon.port('events')}")
    monkeypatch.setenv("EMITTER_KEY", KEY)
    return module.meterline


def called():
    """What LiteLLM hands to its loggers."""
    payload = copy.deepcopy(LITELLM) | {"startTime": time.time() - 1, "endTime": time.time(), "messages": [{"content": "secret"}]}
    return {"model": payload["model"], "standard_logging_object": payload}


def test_a_logger_of_litellm_sends_each_calls_tokens_once(line, logger):
    call = called()
    for _ in range(2):
        asyncio.run(logger.async_log_success_event(call, None, None, None))
    entries = [fields for _, fields in line.client().xrange("usage:events")]
    assert sorted({(fields["id"], fields["tenant"], fields["metric"], fields["quantity"], fields["kind"]) for fields in entries}) == [
        (f"{LITELLM['id']} input", "acme", "llm_tokens", "13", "input"), (f"{LITELLM['id']} output", "acme", "llm_tokens", "30", "output")]
    assert "secret" not in str(entries)


def test_a_logger_of_litellm_waits_for_the_emitter_and_says_what_is_refused(line, logger, monkeypatch):
    line.redis.stop()  # Without a spool the emitter answers with 503.
    with pytest.raises(urllib.error.HTTPError, match="503"):
        logger.log_success_event(called(), None, None, None, patience_s=0)
    tries, once = [], logger.is_taken
    monkeypatch.setattr(logger, "is_taken", lambda *arguments: tries.append(1) or once(*arguments))
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        sending = pool.submit(logger.log_success_event, called(), None, None, None)
        wait_until(lambda: len(tries) > 1, 60, "it tries again")
        line.redis.start()
        sending.result(60)
    assert line.client().xlen("usage:events") >= 2
    monkeypatch.setenv("EMITTER_KEY", "of-nobody-at-all-1")
    with pytest.raises(urllib.error.HTTPError, match="401"):
        logger.log_success_event(called(), None, None, None)


def test_an_example_is_short_and_the_page_names_it():
    page = (ROOT / "docs" / "emitting.md").read_text(encoding="utf-8")
    for example in [*EXAMPLES, FOLDER / "litellm_logger.py"]:
        assert len(example.read_text(encoding="utf-8").splitlines()) < 40
        assert f"(examples/{example.name})" in page
