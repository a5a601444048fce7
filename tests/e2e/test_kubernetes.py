"""deploy/kubernetes and deploy/helm: what they name is there. `make test-containers` makes, validates, compares and runs them."""

import copy
import re

import jsonschema
import pytest
import yaml

from line.paths import ROOT

KUBERNETES = ROOT / "deploy" / "kubernetes"
CHART = ROOT / "deploy" / "helm" / "meterline"
VERSION = re.search('METERLINE_VERSION "(.*)"', (ROOT / "common" / "contract.h").read_text(encoding="utf-8"))[1]
COMPOSE = yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text(encoding="utf-8"))["services"]


def read_all(path):
    return list(yaml.safe_load_all(path.read_text(encoding="utf-8")))


def read(path):
    return read_all(path)[0]


BASE = read(KUBERNETES / "base" / "kustomization.yaml")
OBJECTS = [each for name in BASE["resources"] for each in read_all(KUBERNETES / "base" / name)]
PODS = {each["metadata"]["name"]: each["spec"]["template"]["spec"] for each in OBJECTS if each["kind"] in ("Deployment", "Job")}
NIGHTLY = read(KUBERNETES / "nightly" / "kustomization.yaml")
for _cron in (read(KUBERNETES / "nightly" / name) for name in NIGHTLY["resources"]):
    PODS[_cron["metadata"]["name"]] = _cron["spec"]["jobTemplate"]["spec"]["template"]["spec"]
CTL = read(KUBERNETES / "ctl" / "pod.yaml")
PODS["meterline-ctl"] = CTL["spec"]
VALUES = read(CHART / "values.yaml")
SCHEMA = yaml.safe_load((CHART / "values.schema.json").read_text(encoding="utf-8"))


def test_every_version_is_that_of_the_programs():
    chart = read(CHART / "Chart.yaml")
    assert chart["version"] == chart["appVersion"] == VERSION
    sandbox = read(KUBERNETES / "sandbox" / "kustomization.yaml")
    ctl = read(KUBERNETES / "ctl" / "kustomization.yaml")
    images = {each["name"]: each["newTag"] for each in BASE["images"] + sandbox["images"] + ctl["images"] + NIGHTLY["images"]}
    assert set(images.values()) == {VERSION}
    used = {container["image"] for pod in PODS.values() for container in pod["containers"] + pod.get("initContainers", [])}
    assert used == set(images) - {"meterline/sandbox"}


@pytest.mark.parametrize("name", sorted(PODS))
def test_a_pod_has_settings_that_its_program_takes_and_the_secrets_that_they_name(line, name):
    pod = PODS[name]
    items = {item["path"] for volume in pod["volumes"] for item in volume.get("secret", {}).get("items", [])}
    example = read(KUBERNETES / "base" / "secret.example.yaml")
    for container in pod["containers"] + pod.get("initContainers", []):
        program = container["image"].split("/")[1]
        flags = [word for word in container.get("args", ()) if word == "--daemon"]
        known = line.must("meterctl" if program == "ctl" else program, *flags, "--help").stdout
        for each in container["env"]:
            assert f"or {each['name']} names a file" in known, each
        assert {each["value"] for each in container["env"]} == {f"/etc/meterline/{item}" for item in items}
    assert items <= set(example["stringData"])


def test_the_pod_of_meterctl_is_of_the_line_and_of_no_deployment():
    """Else the NetworkPolicy says nothing of it, or a Service sends it requests."""
    labels = CTL["metadata"]["labels"]
    assert BASE["labels"][0]["pairs"].items() <= labels.items()
    components = [each["metadata"]["labels"]["app.kubernetes.io/component"] for each in OBJECTS if each["kind"] == "Deployment"]
    assert components and labels["app.kubernetes.io/component"] not in components


def test_what_runs_at_night_is_of_the_line_and_takes_its_settings(line):
    assert NIGHTLY["labels"][0]["pairs"] == BASE["labels"][0]["pairs"]
    known = line.must("meterctl", "--help").stdout
    assert all(f"  {literal.split('=')[0]} " in known for literal in NIGHTLY["configMapGenerator"][0]["literals"])
    for name in ("rollup", "export"):
        pod = PODS[f"meterline-{name}"]
        assert pod["containers"][0]["args"] == [name] and pod["restartPolicy"] == "Never"


def test_settings_for_all_are_known_to_a_program(line):
    known = "".join(line.must(program, "--help").stdout for program in ("aggregator", "sink", "webhookd", "notifier", "api"))
    literals = dict(each.split("=") for each in BASE["configMapGenerator"][0]["literals"])
    assert literals == VALUES["settings"]
    for key in literals:
        assert f"  {key} " in known, key


def test_a_stage_has_the_memory_that_compose_gives_it():
    for stage in ("aggregator", "sink", "webhookd", "notifier", "api", "emitter"):
        limit = PODS[f"meterline-{stage}"]["containers"][0]["resources"]["limits"]["memory"]
        assert limit == VALUES[stage]["resources"]["limits"]["memory"] == COMPOSE[stage]["mem_limit"].upper() + "i"
    compose = COMPOSE["aggregator"]["environment"]["DEDUPE_MEMORY_MB"]
    assert compose == "${DEDUPE_MEMORY_MB:-%s}" % VALUES["settings"]["DEDUPE_MEMORY_MB"]


def changed(path, value):
    values = copy.deepcopy(VALUES)
    *outer, last = path.split(".")
    inner = values
    for key in outer:
        inner = inner[key]
    inner[last] = value
    return values


def test_the_chart_takes_its_values_and_refuses_bad_ones():
    jsonschema.Draft7Validator.check_schema(SCHEMA)
    jsonschema.validate(VALUES, SCHEMA)
    jsonschema.validate(changed("ingress", {"enabled": True, "host": "meter.example.com"}), SCHEMA)
    for path, value in (("sink.replicas", -1), ("sink.replicas", "2"), ("sink.replica", 2), ("aggregate", {}),
                        ("emitter.databaseUrlKey", "database_url"),
                        ("settings.STRIPE_LIVE", 1), ("settings.REDIS_URL", "redis://:secret@redis"), ("ingress.enabled", True),
                        ("image.pullPolicy", "Sometimes"), ("networkPolicy.egressPorts", [0]), ("existingSecret", "")):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(changed(path, value), SCHEMA)


def test_each_value_of_the_chart_is_documented():
    text = (CHART / "values.yaml").read_text(encoding="utf-8")
    for key in set(VALUES) - {"sink", "webhookd", "notifier", "api", "emitter"}:  # Stages are together.
        assert re.search(rf"^#.*\n{key}:", text, re.MULTILINE), key
