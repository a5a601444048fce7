"""A real Prometheus that scrapes stages on this machine, with our rules or a copy of them."""

import json
import os
import socket
import subprocess
import urllib.parse
import urllib.request

import yaml

from line.paths import ROOT
from line.process import spawn
from line.stages import OPENER
from line.wait import wait_until

RULES = ROOT / "deploy" / "prometheus" / "alerts.yaml"


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class PrometheusServer:
    """targets: job -> ports. hasten: the `for` of each rule, such as "4s"; None leaves them as they are."""

    def __init__(self, folder, targets, scrape, hasten=None):
        self.folder = folder / "prometheus"
        self.folder.mkdir()
        rules = yaml.safe_load(RULES.read_text(encoding="utf-8"))
        for rule in (rule for group in rules["groups"] for rule in group["rules"] if hasten and "for" in rule):
            rule["for"] = hasten
        (self.folder / "alerts.yaml").write_text(yaml.safe_dump(rules), encoding="utf-8")
        self.targets = targets
        self.scrape = scrape
        self.process = None
        self.url = None

    def _configure(self):
        jobs = [{"job_name": job, "static_configs": [{"targets": [f"127.0.0.1:{port}" for port in ports]}]}
                for job, ports in self.targets.items()]
        (self.folder / "prometheus.yml").write_text(yaml.safe_dump(
            {"global": {"scrape_interval": self.scrape, "scrape_timeout": self.scrape, "evaluation_interval": self.scrape},
             "rule_files": ["alerts.yaml"], "scrape_configs": jobs}), encoding="utf-8")

    def start(self):
        self._configure()
        address = f"127.0.0.1:{free_port()}"
        self.url = f"http://{address}"
        with open(self.folder / "log", "ab") as log:
            self.process = spawn(["prometheus", "--config.file=prometheus.yml", "--storage.tsdb.path=data",
                                  f"--web.listen-address={address}"], cwd=self.folder, stdout=log, stderr=subprocess.STDOUT)
        wait_until(lambda: self._is_ready() or self.process.poll() is not None, 30, "Prometheus is ready")
        assert self.process.poll() is None, (self.folder / "log").read_text()
        return self

    def _is_ready(self):
        try:
            return OPENER.open(f"{self.url}/-/ready", timeout=5).status == 200
        except OSError:
            return False

    def ask(self, path, **parameters):
        """The data of its answer. An error of a query is an exception, with its words."""
        url = f"{self.url}/api/v1/{path}?{urllib.parse.urlencode(parameters)}"
        try:
            with OPENER.open(url, timeout=20) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{parameters}: {error.read().decode()}") from None

    def query(self, expression):
        """Rows of an instant query that are numbers: {labels, value}."""
        return [row for row in self.ask("query", query=expression)["result"] if row["value"][1] != "NaN"]

    def alerts(self):
        """(name, state) of those that are pending or firing."""
        return {(alert["labels"]["alertname"], alert["state"]) for alert in self.ask("alerts")["alerts"]}

    def close(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(20)
