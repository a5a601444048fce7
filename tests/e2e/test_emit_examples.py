"""The examples of docs/emitting.md: an event arrives, also when Redis is away at first, and counts once under its id."""

import subprocess

import pytest

from line import Line, wait_until
from line.paths import ROOT
from line.process import clean_env

EXAMPLES = sorted((ROOT / "docs" / "examples").glob("emit.*"))


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.name)
def test_an_example_emits_until_redis_has_it(folder, example):
    line = Line(folder)
    try:
        line.redis.start()
        env = {**clean_env(), "REDIS_URL": line.redis.url}
        line.redis.stop()
        waiting = subprocess.Popen([example, "acme", "api_calls", "1.5", "order-7"], env=env, stdout=subprocess.PIPE, text=True)
        with pytest.raises(subprocess.TimeoutExpired):
            waiting.wait(1)
        line.redis.start()
        out, _ = waiting.communicate(timeout=60)
        assert waiting.returncode == 0
        wait_until(lambda: line.client().xlen("usage:events") == 1, 20, "it is there")
        (entry, fields), = line.client().xrange("usage:events")
        assert out.strip() == entry and {name: fields[name] for name in ("tenant", "metric", "quantity", "id")} == {
            "tenant": "acme", "metric": "api_calls", "quantity": "1.5", "id": "order-7"}
    finally:
        line.close()


def test_an_example_is_short_and_the_page_names_it():
    page = (ROOT / "docs" / "emitting.md").read_text(encoding="utf-8")
    for example in EXAMPLES:
        assert len(example.read_text(encoding="utf-8").splitlines()) < 40
        assert f"(examples/{example.name})" in page
