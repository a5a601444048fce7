#!/usr/bin/python3
"""make test-containers: the whole line by deploy/compose.yaml under podman, with containers killed at random.

Images are built of a base image that mmdebstrap makes where none is there; those of servers are stand-ins made of
Debian's packages. 100,000 events are sent while stages and servers are killed; then the audit balances, Stripe's
stand-in holds what PostgreSQL does, and no memory limit was hit. Of the environment: BASE, EVENTS, SEED.
"""

import collections
import decimal
import json
import os
import pathlib
import random
import shutil
import socket
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
FOLDER = ROOT / "build" / "containers"
BASE = os.environ.get("BASE", "debian:bookworm-slim")
EVENTS = int(os.environ.get("EVENTS", "100000"))
SEED = int(os.environ.get("SEED", str(time.time_ns() % 10**9)))
PACKAGES = ("podman buildah runc netavark aardvark-dns podman-compose mmdebstrap iptables nftables iproute2 "
            "catatonit openssl").split()
PROJECT = "meterline-test"  # Never the one of `make up`: its volumes are deleted at the end.
SERVERS = ("redis", "postgres", "nginx", "prometheus")
HARDENED = ("aggregator", "sink", "webhookd", "migrate", "catalog")
KILLED = ("aggregator", "sink", "webhookd", "redis", "postgres", "nginx")

CONFIG = """[containers]
default_ulimits = ["nofile=20000:20000", "nproc=32768:32768"]
netns = "{netns}"
log_driver = "k8s-file"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "runc"
"""


class Failed(Exception):
    pass


def run(*command, netns="bridge", check=True, **env):
    """By podman that is told how to work without systemd. stdout."""
    done = subprocess.run([str(word) for word in command], cwd=ROOT, capture_output=True, text=True, check=False,
                          stdin=subprocess.DEVNULL,
                          env={**os.environ, "CONTAINERS_CONF": str(FOLDER / f"{netns}.conf"), **env})
    if check and done.returncode != 0:
        raise Failed(f"{' '.join(map(str, command))} ended with {done.returncode}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return str(s.getsockname()[1])


SETTINGS = {"PROJECT": PROJECT, "SECRETS": str(FOLDER / "secrets"), "COMPOSE": "podman-compose", "EVENTS": str(EVENTS),
            "EVENTS_PER_S": "2000", "SINK_INTERVAL_S": "5", "WEBHOOK_PORT": free_port(), "PROMETHEUS_PORT": free_port(),
            **{f"{server.upper()}_IMAGE": f"standin/{server}" for server in SERVERS}}


def build():
    if run("podman", "images", "-q", BASE).strip() == "":
        tar = FOLDER / "base.tar"
        run("mmdebstrap", "--variant=minbase", "--include=ca-certificates", "bookworm", tar)
        run("podman", "import", tar, BASE)
        tar.unlink()
    print(run("deploy/build_images", netns="host", CONTAINER="podman", BASE=BASE), end="", flush=True)
    for server in SERVERS:
        run("podman", "build", "--quiet", "--pull=never", "--format=docker", "--build-arg", f"BASE={BASE}",
            "--file=tests/containers/Containerfile", f"--target={server}", "--tag", f"standin/{server}", ".", netns="host")


def containers(*command, **env):
    return run("deploy/containers", *command, **SETTINGS, **env)


def inspect(service, field):
    return run("podman", "inspect", "--format", f"{{{{{field}}}}}", f"{PROJECT}_{service}_1").strip()


def in_container(service, *command):
    return run("podman", "exec", f"{PROJECT}_{service}_1", *command)


def ctl(*command):
    """Its own output, among what podman-compose says; and its exit code."""
    secrets = SETTINGS["SECRETS"]
    done = subprocess.run(["podman", "run", "--rm", "--net", f"{PROJECT}_default", "--read-only", "--cap-drop=ALL",
                           "-v", f"{secrets}:/run/secrets:ro", "-e", "DATABASE_URL_FILE=/run/secrets/database_url",
                           "-e", "REDIS_URL_FILE=/run/secrets/redis_url", "--user=0", "meterline/ctl", *command],
                          capture_output=True, text=True, check=False,
                          env={**os.environ, "CONTAINERS_CONF": str(FOLDER / "bridge.conf")})
    return done.stdout, done.returncode


def sql(query):
    return in_container("postgres", "psql", "-Umeterline", "-dmeterline", "-AtF\t", "-c", query)


def until(condition, what, timeout_s=300):
    end = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > end:
            raise Failed(f"not within {timeout_s} s: {what}")
        time.sleep(1)


def has_sent_all():
    return f"{EVENTS} events sent" in run("podman", "logs", "--tail=3", f"{PROJECT}_usage_1", check=False)


def kill(service):
    pid = inspect(service, ".State.Pid")
    if pid and pid != "0":
        run("kill", "-9", pid, check=False)


def kill_at_random(chooser):
    """As a crash: what watches over the containers starts it again."""
    kills = collections.Counter()
    while not has_sent_all():
        service = chooser.choice(KILLED)
        kill(service)
        kills[service] += 1
        time.sleep(chooser.uniform(1, 5))
    return kills


def is_drained():
    try:
        depths = [stage["depth"] for stage in json.loads(ctl("status", "--json")[0])["stages"]]
        return depths == [0, 0, 0] and sql("SELECT count(*) FROM usage_unbilled WHERE reason = 'waiting'").strip() == "0"
    except (Failed, ValueError):
        return False  # A server that was just killed.


def check_totals():
    """Stripe takes whole units: it holds each total rounded down."""
    ours = {}
    for row in sql("SELECT tenant, metric, quantity FROM usage_totals JOIN metrics USING (metric) "
                   "WHERE stripe_event_name IS NOT NULL AND quantity <> 0").splitlines():
        tenant, metric, quantity = row.split("\t")
        ours[tenant, metric] = int(decimal.Decimal(quantity))
    held = {(row["tenant"], row["event_name"]): int(decimal.Decimal(str(row["value"])))
            for row in json.loads(in_container("usage", "/usr/share/meterline/demo/use.py", "--totals"))["totals"]}
    different = {key: (ours.get(key, 0), held.get(key, 0)) for key in ours | held if ours.get(key, 0) != held.get(key, 0)}
    if different or not ours:
        raise Failed(f"of {len(ours)} totals these differ (ours, Stripe's): {different}")
    return len(ours)


def check_hardening():
    for service in HARDENED:
        assert inspect(service, ".HostConfig.ReadonlyRootfs") == "true", service
        assert inspect(service, ".EffectiveCaps") == "[]", service
        assert inspect(service, ".State.OOMKilled") == "false", service
        limit = int(inspect(service, ".HostConfig.Memory"))
        assert limit == (256 if service == "aggregator" else 64) * 2**20, service
    for service in ("aggregator", "sink", "webhookd"):
        run("podman", "exec", f"{PROJECT}_{service}_1", f"meterline-{service}", "--healthcheck")


def main():
    for netns in ("host", "bridge"):
        FOLDER.mkdir(parents=True, exist_ok=True)
        (FOLDER / f"{netns}.conf").write_text(CONFIG.format(netns=netns))
    run("deploy/install_packages", *PACKAGES)
    shutil.rmtree(FOLDER / "secrets", ignore_errors=True)
    print(f"SEED={SEED}", flush=True)
    try:
        build()
        containers("up")
        until(lambda: "follow" in run("podman", "logs", f"{PROJECT}_usage_1", check=False), "customers have subscribed")
        kills = kill_at_random(random.Random(SEED))
        print(f"{EVENTS:,} events sent; killed: {dict(kills)}", flush=True)
        until(is_drained, "all is counted and sent")
        audit, code = ctl("audit")
        if code != 0:
            raise Failed(f"audit ended with {code}\n{audit}")
        print(audit.splitlines()[0])
        print(f"{check_totals()} totals are the same here and at Stripe's stand-in")
        check_hardening()
    except (Failed, AssertionError) as error:
        print(f"FAILED: {error}", file=sys.stderr)
        for service in ("usage", *KILLED):
            print(f"--- {service}\n{run('podman', 'logs', '--tail=5', f'{PROJECT}_{service}_1', check=False)}", file=sys.stderr)
        return 1
    finally:
        if "KEEP" not in os.environ:
            run("deploy/containers", "down", check=False, WIPE="1", **SETTINGS)
    print("containers ok")
    return 0


sys.exit(main())
