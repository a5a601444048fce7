"""deploy/compose.yaml: what it names is there. `make test-containers` runs it."""

import re
import subprocess

import pytest
import yaml

from line.paths import ROOT

COMPOSE = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text(encoding="utf-8"))
SERVICES = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if service["image"].startswith("meterline/")}


@pytest.fixture(scope="module")
def secrets(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made") / "secrets"
    subprocess.run([ROOT / "deploy" / "make_secrets", folder], check=True)
    return folder


def test_each_secret_is_made_once_and_for_its_owner_alone(secrets):
    names = {secret["file"].rpartition("/")[2] for secret in COMPOSE["secrets"].values()}
    assert names <= {path.name for path in secrets.iterdir()}
    assert secrets.stat().st_mode & 0o777 == 0o700
    before = {path.name: path.read_bytes() for path in secrets.iterdir()}
    subprocess.run([ROOT / "deploy" / "make_secrets", secrets], check=True)
    assert {path.name: path.read_bytes() for path in secrets.iterdir()} == before
    assert b"PRIVATE KEY" not in before["trusted.pem"] and before["tls.crt"] in before["trusted.pem"]


def test_no_secret_stands_in_the_environment(secrets):
    for name, service in SERVICES.items():
        for key, value in service.get("environment", {}).items():
            assert not re.search("(SECRET|PASSWORD|_URL)", key) or key.endswith("_FILE") or \
                re.fullmatch("https?://[a-z]+(:[0-9]+)?(/[a-z/]+)?", value), name
            if str(value).startswith("/run/secrets/"):
                assert value.rpartition("/")[2] in service["secrets"] and value.rpartition("/")[2] in COMPOSE["secrets"]


@pytest.mark.parametrize("name", sorted(set(OURS) - {"sandbox", "usage"}))
def test_a_service_of_ours_takes_its_settings_and_is_hardened(line, name):
    service = OURS[name]
    program = service["image"].split("/")[1].split(":")[0]
    known = line.must("meterctl" if program == "ctl" else program, "--help").stdout
    for key in service["environment"]:
        assert f"  {key} " in known or f"or {key} names a file" in known, key
    assert service["read_only"] and service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["mem_limit"] == ("256m" if name == "aggregator" else "64m")


def test_the_images_are_those_that_are_built():
    targets = set(re.findall(r"^FROM \S+ AS (\w+)$", (ROOT / "deploy" / "Containerfile").read_text(), re.MULTILINE))
    assert {service["image"].split("/")[1].split(":")[0] for service in OURS.values()} <= targets
