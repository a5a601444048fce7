#!/usr/bin/python3
"""make test-containers: the whole line by deploy/compose.yaml under podman, with containers killed at random.

Images are built of a base image that mmdebstrap makes where none is there; those of servers are stand-ins made of
Debian's packages. 100,000 events are sent while stages and servers are killed; then the audit balances, Stripe's
stand-in holds what PostgreSQL does, and no memory limit was hit. What it does beyond that is in main().
Of the environment: BASE, EVENTS, SEED, PART (of PARTS), and KEEP=1, so that the line goes on at the end.
"""

import collections
import decimal
import json
import os
import random
import shutil
import signal
import ssl
import subprocess
import sys
import time
import traceback
import urllib.error
import urllib.request

import images
import manifests
import pods
import refusals
import watch
from engine import (FOLDER, NETWORK, PROJECT, ROOT, SERVERS, Failed, attempt, environment, free_port, in_container, inspect,
                    logs, name, prepare, run, until)

sys.path.insert(0, str(ROOT / "tests"))

from support.pages import blocks_for  # noqa: E402

EVENTS = int(os.environ.get("EVENTS", "100000"))
SEED = int(os.environ.get("SEED", str(time.time_ns() % 10**9)))
STAGES = ("aggregator", "sink", "webhookd", "notifier", "api", "emitter")
HARDENED = (*STAGES, "migrate", "catalog", "redis", "nginx", "prometheus", "logins", "grafana",
            "sandbox", "usage")
KILLED = (*STAGES, "redis", "postgres", "nginx")
STOP_MAX_S = 10

SETTINGS = {"CONTAINER": "podman", "BASE": images.BASE, "SOURCE": images.SOURCE, "PROJECT": PROJECT, "SECRETS": str(FOLDER / "secrets"), "COMPOSE": "podman-compose", "EVENTS": str(EVENTS),
            "EVENTS_PER_S": "2000", "SINK_INTERVAL_S": "5", "WEBHOOK_PORT": free_port(), "PROMETHEUS_PORT": free_port(),
            "GRAFANA_PORT": free_port(),
            **{f"{server.upper()}_IMAGE": f"standin/{server}" for server in SERVERS}}


def containers(*command, **env):
    return run("deploy/containers", *command, **{**SETTINGS, **env})


def ctl(*command):
    """Its own output, among what podman-compose says; and its exit code."""
    done = attempt("podman", "run", "--rm", "--net", NETWORK, "--read-only", "--cap-drop=ALL", "-v",
                   f"{SETTINGS['SECRETS']}:/run/secrets:ro", "-e", "DATABASE_URL_FILE=/run/secrets/database_url",
                   "-e", "REDIS_URL_FILE=/run/secrets/redis_url", "--user=0", "meterline/ctl", *command)
    return done.stdout, done.returncode


def sql(query):
    return in_container("postgres", "psql", "-Umeterline", "-dmeterline", "-AtF\t", "-c", query)


def has_said(service, text):
    return text in logs(name(service))


def stop_each_stage():
    """Under load, as an upgrade does."""
    took = {}
    for service in STAGES:
        began = time.monotonic()
        run("podman", "stop", "--time", STOP_MAX_S, name(service))
        took[service] = time.monotonic() - began
        if took[service] >= STOP_MAX_S or inspect(service, ".State.ExitCode") != "0":
            raise Failed(f"{service} took {took[service]:.1f} s to end, with code {inspect(service, '.State.ExitCode')}")
        run("podman", "start", name(service))
    print("SIGTERM to exit code 0: " + ", ".join(f"{service} {s:.1f} s" for service, s in took.items()), flush=True)


def kill(service):
    """As a crash: what watches over the containers starts it again. Whether there was something to kill."""
    try:
        pid = int(inspect(service, ".State.Pid"))
        if pid:
            os.kill(pid, signal.SIGKILL)
        return pid > 0
    except ProcessLookupError:
        return False


def kill_at_random(chooser):
    kills = collections.Counter()
    while not has_said("usage", f"{EVENTS} events sent"):
        service = chooser.choice(KILLED)
        kills[service] += kill(service)
        time.sleep(chooser.uniform(1, 5))
    return kills


def check_restarts(kills):
    """A stage that dies by itself, of its memory limit or a bug, is started again too."""
    for service in STAGES:
        restarts = int(inspect(service, ".RestartCount"))
        if restarts != kills[service]:
            raise Failed(f"{service} was killed {kills[service]} times and started again {restarts} times")


def is_drained():
    try:
        depths = [stage["depth"] for stage in json.loads(ctl("status", "--json")[0])["stages"]]
        return depths == [0, 0, 0] and sql("SELECT count(*) FROM usage_unbilled WHERE reason = 'waiting'").strip() == "0"
    except (Failed, ValueError):
        return False  # A server that was just killed.


def check_audit(good=(0,)):
    """How many events Redis has taken."""
    audit, code = ctl("audit")
    if code not in good:
        raise Failed(f"audit ended with {code}\n{audit}")
    epochs = [line for line in audit.splitlines() if line.startswith("audit stream=")]
    print("\n".join(epochs), flush=True)
    return sum(int(field(line, "added")) for line in epochs)


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
    print(f"{len(ours)} totals are the same here and at Stripe's stand-in", flush=True)


def check_webhooks_after_a_restart():
    """webhookd has another address then."""
    url = f"https://localhost:{SETTINGS['WEBHOOK_PORT']}/webhooks/stripe"
    trust = ssl.create_default_context(cafile=FOLDER / "secrets" / "tls.crt")
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=trust))

    def is_refused_by_webhookd():
        try:
            opener.open(urllib.request.Request(url, b"{}", method="POST"), timeout=5)
        except urllib.error.HTTPError as answer:
            return answer.code == 400
        except OSError:
            pass
        return False
    until(is_refused_by_webhookd, "webhookd refuses what is not signed")
    run("podman", "restart", name("webhookd"))
    until(is_refused_by_webhookd, "nginx finds webhookd again", timeout_s=60)


def check_dashboards():
    def are_up():
        with urllib.request.urlopen(f"http://localhost:{SETTINGS['PROMETHEUS_PORT']}/api/v1/targets", timeout=5) as answer:
            targets = json.load(answer)["data"]["activeTargets"]
        return sorted(each["labels"]["job"] for each in targets if each["health"] == "up") == sorted(STAGES)
    until(are_up, "Prometheus has read every stage")
    until(lambda: has_said("grafana", "dashboards; Prometheus and PostgreSQL answer"), "Grafana has what it needs")


def check_logs():
    """Each line with its container; or those of one stage alone, which podman does not name again."""
    for stage, seen in ((None, {*STAGES, "redis", "postgres"}), ("sink", {"sink"})):
        follower = subprocess.Popen(["make", "--no-print-directory", "logs"], cwd=ROOT, text=True, stdout=subprocess.PIPE,
                                    stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, start_new_session=True,
                                    env=environment(**SETTINGS, **({"STAGE": stage} if stage else {})))
        try:
            left = set(seen)
            for line in follower.stdout:
                owner = line.split(" ")[0].removeprefix(f"{PROJECT}_").removesuffix("_1")
                if stage is None:
                    assert owner in HARDENED or owner in SERVERS, line
                    left.discard(owner)
                else:
                    assert f" stage={stage} " in line, line
                    left.discard(stage)
                if not left:
                    break
            assert not left, f"no line of {left}"
        finally:
            os.killpg(follower.pid, signal.SIGKILL)
            follower.wait()


def volumes():
    return run("podman", "volume", "ls", "--quiet", "--filter", f"label=com.docker.compose.project={PROJECT}").split()


def check_that_data_survives_down():
    before = check_audit()
    kept = volumes()
    containers("down")
    assert volumes() == kept and len(kept) >= 3, kept
    containers("up", EVENTS="0", EVENTS_PER_S="10")
    until(is_line_ready, "the line is ready again")
    after = check_audit(good=(0, 4))  # The stand-in for Stripe has forgotten its customers: balanced, with usage that waits.
    assert after >= before, (before, after)
    containers("down", WIPE="1")
    assert not volumes(), volumes()
    print("volumes outlive down, and not down WIPE=1", flush=True)


def check_pages():
    """What the pages tell to type."""
    commands = [command for block in blocks_for("make test-containers") for command in block.commands]
    assert "make up" in commands, commands
    for command in commands:
        follows = command.startswith("make logs")
        done = attempt("timeout", "10" if follows else "1800", "bash", "-c", command,
                       **{**SETTINGS, "EVENTS": "0", "EVENTS_PER_S": "10"})
        if done.returncode != (124 if follows else 0) or (follows and not done.stdout + done.stderr):
            raise Failed(f"{command} ended with {done.returncode}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
        if command == "make up":
            until(is_line_ready, "the line is ready")
    print(f"{len(commands)} commands of the pages do what they should", flush=True)


def is_line_ready():
    return all(attempt("podman", "exec", name(stage), f"meterline-{stage}", *(["--daemon"] if stage == "emitter" else []),
                       "--healthcheck").returncode == 0 for stage in STAGES)


def field(line, key):
    return next(word.partition("=")[2] for word in line.split() if word.startswith(f"{key}="))


def test_the_line():
    containers("up")
    watched = watch.Watch()
    until(is_line_ready, "each stage is ready at first")
    until(lambda: has_said("usage", "follow"), "customers have subscribed")
    stop_each_stage()
    kills = kill_at_random(random.Random(SEED))
    print(f"{EVENTS:,} events sent; killed: {dict(kills)}", flush=True)
    until(is_drained, "all is counted and sent", timeout_s=900)
    added = check_audit()
    assert added >= EVENTS, f"of {EVENTS} events that Redis acknowledged it has {added}"
    check_totals()
    until(is_line_ready, "each stage is ready")
    watch.check_hardening(HARDENED)
    check_restarts(kills)
    watched.stop()
    check_dashboards()
    check_webhooks_after_a_restart()
    check_logs()
    refusals.check()
    check_that_data_survives_down()


# What `PART=` chooses among.
PARTS = {"images": images.check, "line": test_the_line, "pages": check_pages, "manifests": manifests.check, "pods": pods.check,
         "again": images.check_that_a_second_build_is_the_same}


def main():
    chosen = os.environ.get("PART", " ".join(PARTS)).split()
    prepare()
    shutil.rmtree(FOLDER / "secrets", ignore_errors=True)
    print(f"SEED={SEED}", flush=True)
    starts_the_line = {"line", "pages"} & set(chosen)
    try:
        if starts_the_line:  # A run that was killed leaves a database with passwords of its own.
            attempt("deploy/containers", "down", **{**SETTINGS, "WIPE": "1"})
        if chosen != ["manifests"]:
            images.build()
        for part in chosen:
            PARTS[part]()
    except (Failed, AssertionError) as error:
        traceback.print_exception(error)
        for service in ("usage", *KILLED):
            print(f"--- {service}\n{logs(name(service), tail=5)}", file=sys.stderr)
        return 1
    finally:
        if starts_the_line and "KEEP" not in os.environ:
            attempt("deploy/containers", "down", **{**SETTINGS, "WIPE": "1"})
    print("containers ok")
    return 0


if __name__ == "__main__":
    sys.exit(main())
