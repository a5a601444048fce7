#!/usr/bin/python3
"""make test-deb: the package for Debian 12 and for Debian 13, from its sources to a line that runs under systemd.

For each suite, in fresh root file systems: `make deb` twice (both are the same to the byte), lintian, then in another
one that systemd runs in: an older version is installed, what docs/deployment.md tells is typed, the line counts an
event, the package is upgraded, faults are tried, and after a purge nothing is left. Of the environment: SUITES.
It needs root, and the network for Debian's packages.
"""

import hashlib
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT / "tests" / "packages")]

from box import Box, Failed, run, wait  # noqa: E402
from support.pages import blocks_for  # noqa: E402

FOLDER = ROOT / "build" / "packages"
SUITES = os.environ.get("SUITES", "bookworm trixie").split()
OLDER = "0.0.9"
STAGES = ("aggregator", "sink", "webhookd", "notifier", "api")
UNITS = [f"meterline-{stage}" for stage in STAGES]
EMITTER = "meterline-emitter"  # It needs no PostgreSQL.
PAGES = ("meterctl.1", "meterline-emitter.1", *(f"meterline-{stage}.8" for stage in STAGES))
SERVERS = ("postgresql", "redis-server")
# Of what the page tells, by the words a reader is to replace.
PLACEHOLDERS = {"sk_test_…": "sk_test_1", "whsec_…": "whsec_1"}
FICKLE = re.compile(r"/(proc|sys|dev|run|tmp|root|var/(cache|log|tmp|lib/(apt|dpkg|postgresql|redis|systemd/timers)))(/|$)")
SOON_S = 60


def main():
    if os.geteuid() != 0:
        raise Failed("it needs root: for root file systems, and to start systemd in them")
    run(ROOT / "deploy" / "install_packages", "mmdebstrap")
    FOLDER.mkdir(parents=True, exist_ok=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # Not without closing the box.
    for suite in SUITES:
        package = build(suite)
        box = Box(FOLDER / suite, suite)
        try:
            try_package(box, package)
        finally:
            box.close()
        shutil.rmtree(box.root)
        print(f"{suite}: {package.name} is built, clean, the same twice; installed, configured, upgraded, purged", flush=True)


# Building.

def build(suite):
    """In a root file system of its own, by the sources of this clone, committed or not."""
    box = Box(FOLDER / f"{suite}-build", suite)
    version = {"REVISION": run("git", "describe", "--always", "--dirty", "--exclude=*", cwd=ROOT).stdout.strip(),
               "SOURCE_DATE_EPOCH": run("git", "log", "-1", "--format=%ct", cwd=ROOT).stdout.strip()}
    box.install("make", "lintian")
    digests = set()
    for name in ("one", "two"):
        copy_sources(box.root / "src" / name)
        box.sh("make -s deb", cwd=f"/src/{name}", **version)
        made, = (box.root / "src" / name / "build" / "deb").glob("meterline_*.deb")
        digests.add(hashlib.sha256(made.read_bytes()).hexdigest())
    if len(digests) != 1:
        raise Failed(f"{suite}: two builds of the same sources differ")
    told = box.sh("lintian --allow-root --fail-on error,warning --display-level '>=warning' build/deb/*.changes", check=False,
                  cwd="/src/two")
    if told.returncode != 0 or re.search("^[EW]: ", told.stdout, re.MULTILINE):
        raise Failed(f"{suite}: lintian says\n{told.stdout}")
    package = FOLDER / made.name
    shutil.copy(made, package)
    shutil.rmtree(box.root)
    return package


def copy_sources(folder):
    folder.mkdir(parents=True)
    listed = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT, check=True,
                            capture_output=True).stdout
    with subprocess.Popen(["tar", "-c", "--null", "-T", "-"], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as pack:
        with subprocess.Popen(["tar", "-x", "-C", folder], stdin=pack.stdout) as unpack:
            pack.stdin.write(listed)
            pack.stdin.close()
            if pack.wait() or unpack.wait():
                raise Failed("the sources cannot be copied")


def older(box, package):
    """The same with an older version number."""
    run("dpkg-deb", "-R", package, box.root / "old")
    control = box.root / "old" / "DEBIAN" / "control"
    control.write_text(re.sub("^Version: .*", f"Version: {OLDER}", control.read_text(encoding="utf-8"), flags=re.MULTILINE),
                       encoding="utf-8")
    run("dpkg-deb", "-b", box.root / "old", box.root / "old.deb")
    shutil.rmtree(box.root / "old")


# Using.

def try_package(box, package):
    depends = run("dpkg-deb", "-f", package, "Depends").stdout.strip()
    box.install("systemd", "dbus", "man-db", "mandoc", "bash-completion", "procps", "curl", *SERVERS)
    box.sh(f"apt-get satisfy -q -y --no-install-recommends '{depends}'")
    shutil.copy(package, box.root)
    older(box, package)
    box.boot()
    prepare_servers(box)
    before = files(box)
    install(box, "old.deb")
    check_untouched(box)
    configure(box)
    check_line(box)
    check_sandbox(box)
    check_emitter(box)
    check_upgrade(box, package)
    check_faults(box)
    purge(box)
    left = {path for path in files(box) - before if not FICKLE.match(path)}
    if left:
        raise Failed(f"after the purge there is {sorted(left)}")


def expect(seen, wanted, what):
    if seen != wanted:
        raise Failed(f"{what}: {seen!r} and not {wanted!r}")


def show(box, unit, name):
    return box.sh(f"systemctl show -P {name} {unit}").stdout.strip()


def is_active(box, unit):
    return box.sh(f"systemctl is-active {unit}", check=False).stdout.strip()


def files(box):
    """On the disk: what systemd mounts in memory is its own affair."""
    return {f"/{path.relative_to(box.root)}" for path in box.root.rglob("*")}


def prepare_servers(box):
    box.sh("systemctl start postgresql redis-server && redis-cli config set appendonly yes && "
           "redis-cli config set maxmemory-policy noeviction")
    wait(lambda: box.sh("pg_isready -h 127.0.0.1", check=False).returncode == 0, SOON_S, "PostgreSQL answers")


def install(box, name):
    box.sh(f"apt-get install -q -y /{name}")


def check_untouched(box):
    """What was just installed waits for a person, and says what it lacks."""
    for unit in [*UNITS, EMITTER, "meterline-migrate", "meterline.target"]:
        expect(box.sh(f"systemctl is-enabled {unit}", check=False).stdout.strip(), "disabled", unit)
        expect(is_active(box, unit), "inactive", unit)
    told = box.sh("systemctl start meterline-sink", check=False)
    if told.returncode == 0 or "ssertion" not in told.stdout:
        raise Failed(f"a stage without its secrets: {told.stdout}")
    expect(box.sh("meterctl --version").stdout.strip(), "meterctl " + version_of_sources(), "meterctl --version")
    expect(box.sh("systemd-analyze verify meterline.target " + " ".join(f"{unit}.service" for unit in
                                                                        [*UNITS, EMITTER, "meterline-migrate"])).stdout, "", "verify")
    for page in PAGES:
        name, section = page.split(".")
        path = f"/usr/share/man/man{section}/{page}.gz"
        expect(box.sh(f"man --warnings -E UTF-8 -l -Z -Tutf8 {path} >/dev/null; zcat {path} | mandoc -T lint -W warning").stdout,
               "", page)
        if name not in box.sh(f"man {name}; whatis {name}").stdout:
            raise Failed(f"man {name} shows nothing")
    offered = box.sh("source /usr/share/bash-completion/bash_completion; __load_completion meterctl 2>/dev/null || "
                     "_comp_load meterctl; COMP_WORDS=(meterctl cat); COMP_CWORD=1; _meterctl; echo ${COMPREPLY[@]}")
    expect(offered.stdout.strip(), "catalog", "completion")


def version_of_sources():
    return re.search('METERLINE_VERSION "(.*)"', (ROOT / "common/contract.h").read_text(encoding="utf-8"))[1]


def configure(box):
    """What docs/deployment.md tells to type, but for the first block, which builds and installs."""
    for block in blocks_for("make test-deb")[1:]:
        text = block.text
        for word, value in PLACEHOLDERS.items():
            text = text.replace(word, value)
        box.sh(text, cwd="/root")


def wait_status(box, unit, text):
    wait(lambda: show(box, unit, "StatusText").startswith(text), SOON_S, f"{unit} says {text}")


def check_line(box):
    for unit in [*UNITS, EMITTER]:
        expect(is_active(box, unit), "active", unit)
        wait_status(box, unit, "ready")
    box.sh("echo '{\"tenant\": \"acme\", \"metric\": \"api_calls\", \"quantity\": \"1\"}' | meterline-emitter")
    meterctl = "DATABASE_URL_FILE=/etc/meterline/secrets/database_url meterctl"
    wait(lambda: "counted=1 " in box.sh(f"{meterctl} audit", check=False).stdout, SOON_S, "the event is counted")
    # A server that is away is a state, also at boot.
    box.sh("systemctl stop postgresql && systemctl restart meterline-aggregator")
    for unit in UNITS:
        wait_status(box, unit, "not ready")
        expect(is_active(box, unit), "active", f"{unit} without PostgreSQL")
    box.sh("systemctl start postgresql")
    expect(is_ready(box, EMITTER), True, "the emitter without PostgreSQL")
    for unit in UNITS:
        wait_status(box, unit, "ready")


def is_ready(box, unit):
    return show(box, unit, "StatusText").startswith("ready")


def check_sandbox(box):
    for unit in [*UNITS, EMITTER]:
        status = box.sh(f"cat /proc/{show(box, unit, 'MainPID')}/status").stdout
        told = dict(line.split(":\t", 1) for line in status.splitlines() if ":\t" in line)
        seen = (told["Uid"].split()[0] == "0", int(told["CapBnd"], 16), told["NoNewPrivs"], told["Seccomp"])
        expect(seen, (False, 0, "1", "2"), f"root, capabilities, no_new_privs, seccomp of {unit}")


def check_emitter(box):
    """Its folder outlives it; it takes events by a key, and what it said yes to is counted."""
    send = ("curl -sS -H 'Content-Type: application/json' -H \"Authorization: Bearer $(cut -d= -f1 /etc/meterline/secrets/emitter_keys)\" "
            "-d '{\"tenant\": \"acme\", \"metric\": \"api_calls\"}' http://127.0.0.1:8091/v1/events")
    meterctl = "DATABASE_URL_FILE=/etc/meterline/secrets/database_url meterctl"
    for counted in (2, 3):
        if '"accepted":1' not in box.sh(send).stdout.replace(" ", ""):
            raise Failed("the emitter takes no event")
        wait(lambda counted=counted: f"counted={counted} " in box.sh(f"{meterctl} audit", check=False).stdout, SOON_S, "it is counted")
        expect(box.sh(f"stat -Lc %a /var/lib/{EMITTER}; test -d /var/lib/{EMITTER}/spool").stdout.strip(), "700", "its folder")
        box.sh(f"systemctl restart {EMITTER}")
        wait_status(box, EMITTER, "ready")


def check_upgrade(box, package):
    """Those that ran go on as the new version; the others stay as they were."""
    box.sh("systemctl disable --now meterline-webhookd")
    pids = {unit: show(box, unit, "MainPID") for unit in UNITS}
    install(box, package.name)
    expect(box.sh("dpkg-query -W -f '${Version}' meterline").stdout, package.name.split("_")[1], "the version after the upgrade")
    for unit in ("meterline-aggregator", "meterline-sink"):
        wait_status(box, unit, "ready")
        expect(show(box, unit, "MainPID") != pids[unit], True, f"{unit} was restarted")
        expect(box.sh(f"systemctl is-enabled {unit}", check=False).stdout.strip(), "enabled", unit)
    expect(is_active(box, "meterline-webhookd"), "inactive", "a stage that was stopped")
    expect(box.sh("systemctl is-enabled meterline-webhookd", check=False).stdout.strip(), "disabled", "a stage that was disabled")


def check_faults(box):
    # A loop that hangs is killed and started again.
    soon = "/run/systemd/system/meterline-aggregator.service.d"
    box.sh(f"mkdir -p {soon}; printf '[Service]\\nWatchdogSec=2\\n' >{soon}/soon.conf; systemctl daemon-reload; "
           "systemctl restart meterline-aggregator")
    before = int(show(box, "meterline-aggregator", "NRestarts"))
    box.sh("systemctl kill -s STOP meterline-aggregator")
    wait(lambda: int(show(box, "meterline-aggregator", "NRestarts")) > before, SOON_S, "a loop that hangs is started again")
    box.sh(f"rm -r {soon}; systemctl daemon-reload; systemctl restart meterline-aggregator")
    wait_status(box, "meterline-aggregator", "ready")
    # So is one that dies; one with wrong settings is not, and says so.
    before = int(show(box, "meterline-sink", "NRestarts"))
    box.sh("systemctl kill -s KILL meterline-sink")
    wait(lambda: int(show(box, "meterline-sink", "NRestarts")) > before, SOON_S, "one that dies is started again")
    wait_status(box, "meterline-sink", "ready")
    told = box.sh("echo LOG_LEVEL=loud >/etc/meterline/sink.env; systemctl restart meterline-sink", check=False)
    expect((told.returncode != 0, is_active(box, "meterline-sink"), show(box, "meterline-sink", "ExecMainStatus")),
           (True, "failed", "2"), "wrong settings")
    if "setting=LOG_LEVEL" not in box.sh("journalctl -u meterline-sink -n 20 --no-pager").stdout:
        raise Failed("the journal does not name the setting")
    # The target is all of them.
    box.sh("rm /etc/meterline/sink.env; systemctl restart meterline-sink; systemctl stop meterline.target")
    wait(lambda: {is_active(box, unit) for unit in [*UNITS, EMITTER]} == {"inactive"}, SOON_S, "the stages stop with their target")
    box.sh("systemctl start meterline.target")
    for unit in UNITS[:2]:
        wait_status(box, unit, "ready")


def purge(box):
    box.sh("apt-get remove -q -y meterline")
    expect(box.sh("pgrep -l meterline", check=False).stdout, "", "stages after the package was removed")
    if not (box.root / "etc/meterline/secrets/database_url").exists():
        raise Failed("a removal, not a purge, deleted the settings")
    box.sh("apt-get purge -q -y meterline; systemctl daemon-reload")
    expect(box.sh("systemctl list-unit-files 'meterline*' --no-legend", check=False).stdout, "", "units after the purge")


if __name__ == "__main__":
    try:
        main()
    except Failed as error:
        sys.exit(f"make test-deb: {error}")
