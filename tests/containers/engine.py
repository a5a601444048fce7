"""Podman without systemd, and the line that deploy/containers starts by it."""

import os
import pathlib
import socket
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
FOLDER = ROOT / "build" / "containers"
BASE = os.environ.get("BASE", "debian:bookworm-slim")
PACKAGES = ("podman buildah runc netavark aardvark-dns podman-compose mmdebstrap iptables nftables iproute2 "
            "catatonit openssl").split()
PROJECT = "meterline-test"  # Never the one of `make up`: its volumes are deleted at the end.
NETWORK = f"{PROJECT}_default"
SERVERS = ("redis", "postgres", "nginx", "prometheus", "grafana")
IMAGES = ("emitter", "aggregator", "sink", "webhookd", "notifier", "api", "ctl", "all")  # Published. `sandbox` has tests in it.

CONFIG = """[containers]
default_ulimits = ["nofile=20000:20000", "nproc=32768:32768"]
netns = "{netns}"
log_driver = "k8s-file"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "runc"
"""
# Another storage, without what was built before.
STORAGE = """[storage]
driver = "overlay"
graphroot = "{folder}/graph"
runroot = "{folder}/run"
"""


class Failed(Exception):
    pass


def attempt(*command, netns="bridge", timeout_s=1800, **env):
    """By podman that is told how to work without systemd. subprocess.CompletedProcess."""
    return subprocess.run([str(word) for word in command], cwd=ROOT, capture_output=True, text=True, check=False,
                          stdin=subprocess.DEVNULL, timeout=timeout_s, env=environment(netns, **env))


def environment(netns="bridge", **env):
    return {**os.environ, "CONTAINERS_CONF": str(FOLDER / f"{netns}.conf"), **env}


def run(*command, check=True, **options):
    """stdout."""
    done = attempt(*command, **options)
    if check and done.returncode != 0:
        raise Failed(f"{' '.join(map(str, command))} ended with {done.returncode}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout


def prepare():
    FOLDER.mkdir(parents=True, exist_ok=True)
    for netns in ("host", "bridge"):
        (FOLDER / f"{netns}.conf").write_text(CONFIG.format(netns=netns), encoding="ascii")
    run("deploy/install_packages", *PACKAGES)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return str(s.getsockname()[1])


def until(condition, what, timeout_s=300):
    end = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > end:
            raise Failed(f"not within {timeout_s} s: {what}")
        time.sleep(0.5)


def name(service):
    return f"{PROJECT}_{service}_1"


def inspect(service, field):
    return run("podman", "inspect", "--format", f"{{{{{field}}}}}", name(service)).strip()


def in_container(service, *command):
    return run("podman", "exec", name(service), *command)


def logs(container, tail=1000):
    """Both streams."""
    done = attempt("podman", "logs", f"--tail={tail}", container)
    return done.stdout + done.stderr
