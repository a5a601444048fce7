"""The alert rules: each fires and keeps still when it should, asks for series that exist, and has its page."""

import re
import subprocess

import yaml

from line.paths import ROOT

FOLDER = ROOT / "deploy" / "prometheus"
RULES = [rule for group in yaml.safe_load((FOLDER / "alerts.yaml").read_text())["groups"] for rule in group["rules"]]


def promtool(*args):
    return subprocess.run(["promtool", *args], cwd=FOLDER, capture_output=True, text=True, check=False)


def test_rules_and_scrape_config_are_valid():
    for args in (("check", "rules", "alerts.yaml"), ("check", "config", "--syntax-only", "prometheus.yml")):
        done = promtool(*args)
        assert done.returncode == 0, done.stderr


def test_each_rule_fires_and_keeps_still_when_it_should():
    done = promtool("test", "rules", "alerts_test.yaml")
    assert done.returncode == 0, done.stdout + done.stderr
    tried = {True: set(), False: set()}
    for case in yaml.safe_load((FOLDER / "alerts_test.yaml").read_text())["tests"]:
        for alert in case["alert_rule_test"]:
            tried[bool(alert["exp_alerts"])].add(alert["alertname"])
    names = {rule["alert"] for rule in RULES}
    assert tried == {True: names, False: names}


def test_each_rule_asks_for_series_that_stages_have():
    described = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    known = dict(re.findall(r"^\| `(meterline_\w+)` \| \w+ \|([^|]*)\|", described, re.MULTILINE))
    for rule in RULES:
        for name, matchers in re.findall(r"(meterline_\w+)(\{[^}]*\})?", rule["expr"]):
            assert name in known, rule["alert"]
            labels = set(re.findall(r"(\w+)=~?\"", matchers)) - {"job"}
            assert all(f"`{label}`" in known[name] for label in labels), rule["alert"]


def test_each_rule_has_its_page_and_each_page_its_rule():
    pages = re.findall(r"^## (\w+)$", (ROOT / "docs" / "runbook.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert pages == [rule["alert"] for rule in RULES]
    assert [rule["annotations"]["runbook_url"] for rule in RULES] == [f"docs/runbook.md#{page.lower()}" for page in pages]
