"""deploy/systemd: what the units name is there, and systemd has no word to say. `make test-deb` starts them by a real systemd."""

import re

import pytest

from line import process
from line.paths import ROOT
from line.stages import program

UNITS = ROOT / "deploy" / "systemd"
SERVICES = sorted(UNITS.glob("*.service"))
TIMERS = sorted(UNITS.glob("*.timer"))
JOBS = {"meterline-migrate", *(path.stem for path in TIMERS)}
TARGET = UNITS / "meterline.target"
COMMON = UNITS / "meterline-.service.d" / "10-common.conf"
OWN = sorted(UNITS.glob("meterline-?*.service.d/*.conf"))  # Of one service, after what is common.
EXPOSURE_MAX = 1.5  # Of 10; 9.6 is a service that nothing is set for.


@pytest.fixture
def units(folder):
    """As installed for our programs."""
    for path in [COMMON, *OWN]:
        (folder / path.parent.name).mkdir()
    for path in [COMMON, *OWN, TARGET, *SERVICES, *TIMERS]:
        text = re.sub("^ExecStart=/usr/bin/([a-z-]+)", lambda found: f"ExecStart={program(found[1])}",
                      path.read_text(encoding="utf-8"), flags=re.MULTILINE)
        (folder / path.relative_to(UNITS)).write_text(text, encoding="utf-8")
    return folder


def values(path, name):
    return re.findall(f"^{name}=(.*)", path.read_text(encoding="utf-8"), re.MULTILINE)


def values_in_force(service, name):
    """Of the unit and its drop-ins in systemd's order, where an empty value takes back what was before."""
    found = []
    for path in (service, COMMON, *(path for path in OWN if path.parent.name == f"{service.name}.d")):
        for value in values(path, name):
            found = [*found, value] if value else []
    return found


def test_systemd_finds_no_fault(units):
    done = process.run(["systemd-analyze", "verify", "--man=no", *(units / path.name for path in [TARGET, *SERVICES, *TIMERS])],
                       env={"SYSTEMD_UNIT_PATH": f"{units}:"})
    assert done.returncode == 0 and done.stdout + done.stderr == ""


@pytest.mark.parametrize("service", SERVICES, ids=lambda path: path.stem)
def test_a_service_is_in_a_narrow_sandbox(units, service):
    done = process.run(["systemd-analyze", "security", "--offline=yes", "--no-pager", units / service.name],
                       env={"SYSTEMD_UNIT_PATH": f"{units}:"})
    found = re.search(r"Overall exposure level for \S+: ([0-9.]+)", done.stdout)
    assert found and float(found[1]) <= EXPOSURE_MAX, done.stdout + done.stderr


@pytest.mark.parametrize("service", SERVICES, ids=lambda path: path.stem)
def test_each_secret_is_a_credential_that_the_program_reads(service):
    command, *flags = values(service, "ExecStart")[0].split()
    help_text = process.run([program(command.rpartition("/")[2]), *(flag for flag in flags if flag == "--daemon"), "--help"]).stdout
    loaded = dict(text.split(":", 1) for text in values_in_force(service, "LoadCredential"))
    fallbacks = {text.split(":")[0] for text in values_in_force(service, "SetCredential")}
    named = [pair.split("=") for text in values_in_force(service, "Environment") for pair in text.split()]
    secrets = {name: value for name, value in named if value.startswith("%d/")}
    assert {value.removeprefix("%d/") for value in secrets.values()} == set(loaded) >= fallbacks
    for name, value in secrets.items():
        assert name == f"{value.removeprefix('%d/').upper()}_FILE" and f" {name} names a file" in help_text
    for name, _ in named:
        assert name in secrets or f"  {name} " in help_text
    asserted = set(values_in_force(service, "AssertPathExists"))
    assert asserted == {path for name, path in loaded.items() if name not in fallbacks}


def test_a_target_starts_them_and_what_ends_by_itself_is_a_matter_of_its_own():
    text = {path.stem: path.read_text(encoding="utf-8") for path in SERVICES}
    assert set(text) == {"meterline-aggregator", "meterline-sink", "meterline-webhookd", "meterline-notifier", "meterline-api", "meterline-emitter",
                         *JOBS}
    for name, unit in text.items():
        assert ("WantedBy=multi-user.target meterline.target\n" in unit) == (name == "meterline-migrate" or name not in JOBS)
        assert ("Type=oneshot\n" if name in JOBS else "Type=notify\n") in unit
        assert ("WatchdogSec=" in unit) == (name not in JOBS)
        assert ("Restart=no\n" in unit) == (name in JOBS), "a timer, or a person, says when it is tried again"


def test_the_emitter_alone_keeps_a_folder_and_has_no_login_of_postgresql():
    emitter = UNITS / "meterline-emitter.service"
    assert {path.stem: values(path, "StateDirectory") for path in SERVICES if values(path, "StateDirectory")} == {
        "meterline-emitter": ["meterline-emitter"]}
    assert "EMITTER_SPOOL=%S/meterline-emitter/spool" in values_in_force(emitter, "Environment")
    assert "database" not in str([values_in_force(emitter, name) for name in ("LoadCredential", "Environment", "AssertPathExists")])


def test_timers_start_rollups_hourly_and_the_export_nightly():
    assert {path.stem: values(path, "OnCalendar") for path in TIMERS} == {
        "meterline-rollup": ["hourly"], "meterline-export": ["*-*-* 01:30:00 UTC"]}
    assert all(values(path, "WantedBy") == ["timers.target"] for path in TIMERS)
