"""The alert rules: each fires and keeps still when it should, asks for series that exist, and has its page."""

import contextlib
import re
import subprocess

import pytest
import yaml

from line.paths import ROOT
from support.prometheus_server import PrometheusServer
from support.watched_line import start_watched

FOLDER = ROOT / "deploy" / "prometheus"
RULES = [rule for group in yaml.safe_load((FOLDER / "alerts.yaml").read_text())["groups"] for rule in group["rules"]
         if "alert" in rule]
CASES = ["alerts_test.yaml", "alerts_days_test.yaml"]


def promtool(*args):
    return subprocess.run(["promtool", *args], cwd=FOLDER, capture_output=True, text=True, check=False)


def test_rules_and_scrape_config_are_valid():
    for args in (("check", "rules", "alerts.yaml"), ("check", "config", "--syntax-only", "prometheus.yml")):
        done = promtool(*args)
        assert done.returncode == 0, done.stderr


def test_what_kubernetes_is_asked_is_valid_too(tmp_path):
    """But for the discovery itself, which Debian's Prometheus does not have."""
    config = yaml.safe_load((FOLDER / "kubernetes.yml").read_text())
    assert config["scrape_configs"][0].pop("kubernetes_sd_configs")[0]["role"] == "endpoints"
    (tmp_path / "kubernetes.yml").write_text(yaml.safe_dump(config))
    done = promtool("check", "config", "--syntax-only", str(tmp_path / "kubernetes.yml"))
    assert done.returncode == 0, done.stderr
    [about_jobs] = [rule for rule in config["scrape_configs"][0]["relabel_configs"] if rule.get("target_label") == "job"]
    assert about_jobs["source_labels"] == ["__meta_kubernetes_service_label_app_kubernetes_io_component"]


def test_each_rule_fires_and_keeps_still_when_it_should():
    runs = [subprocess.Popen(["promtool", "test", "rules", name], cwd=FOLDER, text=True, stdout=subprocess.PIPE,
                             stderr=subprocess.STDOUT) for name in CASES]
    for run in runs:
        said = run.communicate()[0]
        assert run.returncode == 0, said
    tried = {True: set(), False: set()}
    for name in CASES:
        for case in yaml.safe_load((FOLDER / name).read_text())["tests"]:
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


def test_each_page_says_what_it_means_how_to_look_what_to_do_and_whom_to_wake():
    for rule, page in zip(RULES, (ROOT / "docs" / "runbook.md").read_text(encoding="utf-8").split("\n## ")[1:]):
        assert re.findall(r"^\*\*(\w+):?\*\*", page, re.MULTILINE) == ["Means", "Look", "Do", "Wake"], rule["alert"]
        assert f"**Means** ({rule['labels']['severity']}):" in page, rule["alert"]


@pytest.mark.long
def test_on_a_line_that_runs_nothing_fires_until_something_is_wrong_and_then_just_that(line, folder):
    """The rules as they are, but that they wait for seconds."""
    targets = start_watched(line)
    first, second = line.stages[0], line.start_aggregator().wait_ready()
    targets["aggregator"].append(second.ops_port)
    with contextlib.closing(PrometheusServer(folder, targets, "1s", hasten="2s").start()) as prometheus:
        def only(*names):
            return prometheus.alerts() == {(name, "firing") for name in names}

        line.wait_for(lambda: prometheus.query("sum(count_over_time(meterline_ready[1m])) > 20"), 30, "all are watched")
        assert only()
        first.term()
        line.wait_for(lambda: only("InstanceDown"), 30, "one of two is missing")
        second.term()
        line.wait_for(lambda: only("StageDown"), 30, "nobody counts")
        for port in targets["aggregator"]:
            line.start_aggregator(OPS_LISTEN=f"127.0.0.1:{port}").wait_ready()
        line.wait_for(only, 30, "they are back")
        line.emit({"tenant": "acme", "metric": "unheard_of"} for _ in range(500))
        line.wait_for(lambda: only("EventsRejected"), 30, "so many rejects are told")
