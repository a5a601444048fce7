"""The examples of docs/quotas.md on a real line, and the bound that the page gives for checks without reservations."""

import os
import threading
import time

import pytest

from line import process
from line.paths import ROOT
from line.process import clean_env
from support import library_build
from support.ledger_proof import settle

EXAMPLES = sorted((ROOT / "docs" / "examples").glob("quota.*"))


@pytest.fixture(name="counted")
def counted_fixture(line):
    """A line that counts, where acme may use 5, and not more."""
    line.sql("INSERT INTO tenant_limits (tenant, metric, included, cap) VALUES ('acme', 'api_calls', 5, 'hard')")
    line.start_webhookd(STRIPE_SECRET_KEY=None).wait_ready()
    line.start_aggregator().wait_ready()
    line.wait_for(lambda: line.client().hget("quota:{acme}", "api_calls.limit") == "5")
    line.wait_for(lambda: line.client().function_list("meterline_quota"))
    return line


def check(line, quantity=0):
    return line.client().fcall("meterline_check", 1, "quota:{acme}", "api_calls", quantity)


def made(example, folder):
    """A program, and what it needs in its environment."""
    if example.suffix != ".c":
        return example, {}
    library_build.install(folder)
    library_build.compile_against(folder, example, folder / "quota")
    return folder / "quota", library_build.environment(folder)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_an_example_reserves_emits_and_settles(counted, example, tmp_path):
    example, own = made(example, tmp_path)
    env = {**clean_env(), **own, "REDIS_URL": counted.redis.url, "NODE_PATH": os.environ.get("NODE_PATH", "/usr/share/nodejs")}
    for code, said in ((0, "allow ok\nworking\n"), (0, "allow ok\nworking\n"), (1, "deny hard_cap\n")):
        done = process.run([example, "acme", "api_calls", "2"], env=env)
        assert (done.returncode, done.stdout) == (code, said), done.stderr
    settle(counted)
    counted.wait_for(lambda: check(counted)[2:4] == ["4", "0"], what="all is counted, and nothing is held any more")


def test_an_example_is_short_and_the_page_names_it():
    page = (ROOT / "docs" / "quotas.md").read_text(encoding="utf-8")
    for example in EXAMPLES:
        assert len(example.read_text(encoding="utf-8").splitlines()) < 40
        assert f"(examples/{example.name})" in page


def test_without_reservations_the_overshoot_is_what_was_not_yet_counted(counted):
    """docs/quotas.md: a tenant may pass its hard limit by its rate times the lag, and what is asked for side by side."""
    counted.sql("UPDATE tenant_limits SET included = 400")
    counted.wait_for(lambda: counted.client().hget("quota:{acme}", "api_calls.limit") == "400")
    clients, lock, sent, worst = 6, threading.Lock(), [0], [0]

    def use():
        client = counted.redis.client()
        while True:
            before = sent[0]
            verdict, _, used, *_ = client.fcall("meterline_check", 1, "quota:{acme}", "api_calls", 1)
            if verdict == "deny":
                return
            with lock:
                worst[0] = max(worst[0], sent[0] - int(used), before - int(used))
                sent[0] += 1
            client.xadd("usage:events", {"tenant": "acme", "metric": "api_calls", "quantity": 1})
            time.sleep(0.002)

    threads = [threading.Thread(target=use) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    settle(counted)
    counted.wait_for(lambda: check(counted)[2] == str(sent[0]))
    print("over by", sent[0] - 400, "not counted at worst", worst[0])
    assert 400 <= sent[0] <= 400 + worst[0] + clients
