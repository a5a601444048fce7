"""deploy/compose.yaml: what it names is there. `make test-containers` runs it."""

import os
import re
import subprocess

import psycopg2.extensions
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


def test_an_authority_of_our_own_is_trusted_in_the_sandbox_alone(tmp_path):
    folder = tmp_path / "secrets"
    subprocess.run([ROOT / "deploy" / "make_secrets", folder], check=True)
    (folder / "stripe_secret_key").write_text("sk_test_of_an_account\n", encoding="ascii")
    subprocess.run([ROOT / "deploy" / "make_secrets", folder], check=True)
    trusted = (folder / "trusted.pem").read_text(encoding="utf-8")
    assert (folder / "tls.crt").read_text(encoding="ascii") not in trusted and "BEGIN CERTIFICATE" in trusted


def test_no_secret_is_made_without_openssl(tmp_path):
    (tmp_path / "bin").mkdir()
    for program in ("bash", "cat", "chmod", "mkdir", "mv"):
        (tmp_path / "bin" / program).symlink_to(f"/bin/{program}")
    done = subprocess.run(["/bin/bash", ROOT / "deploy" / "make_secrets", tmp_path / "secrets"], check=False,
                          capture_output=True, text=True, env={"PATH": str(tmp_path / "bin")})
    assert done.returncode == 1 and "openssl" in done.stderr and not (tmp_path / "secrets").exists()


@pytest.mark.parametrize("url", [
    "postgresql://meterline:ab12@postgres/meterline",
    "postgresql://m:p%40ss%2Fw%25%5C:rd@db.example.com:6432/billing?sslmode=require&application_name=a:b@c",
    "postgresql://m@db/billing?application_name=a:b@c",
    "postgresql://db:5432/billing",
    "postgresql://m:a\\nb@[::1]:5432,other:5433/billing",
    "postgresql:///billing?host=/run/postgresql&user=m",
])
def test_logins_are_made_without_a_password_in_the_list_of_processes(tmp_path, url):
    (tmp_path / "psql").write_text('#!/bin/sh\nfor last; do :; done\nprintf "%s\\n" "${PGPASSWORD-none}" "$last" "$*"\n')
    (tmp_path / "psql").chmod(0o755)
    (tmp_path / "database_url").write_text(url + "\n", encoding="ascii")
    said = subprocess.run([ROOT / "deploy" / "make_logins", tmp_path], check=True, capture_output=True, text=True,
                          env={"PATH": f"{tmp_path}:{os.environ['PATH']}"}).stdout
    password, shown, command = said.splitlines()
    meant = psycopg2.extensions.parse_dsn(url)
    assert (None if password == "none" else password) == meant.pop("password", None)
    assert psycopg2.extensions.parse_dsn(shown) == meant
    assert f"-f {tmp_path}/logins" in command


@pytest.mark.own_servers
def test_each_stage_logs_in_as_who_may_do_no_more_than_it_needs(line, secrets):
    """The script of logins may run again and again; the addresses lead to them."""
    for _ in range(2):
        line.sql((secrets / "logins").read_text(encoding="ascii"))
    stages = [name for name, service in OURS.items() if f"{name}_database_url" in service.get("secrets", ())]
    assert {"aggregator", "sink", "webhookd", "notifier"} <= set(stages)
    for name in stages:
        assert OURS[name]["environment"]["DATABASE_URL_FILE"] == f"/run/secrets/{name}_database_url"
        assert "database_url" not in OURS[name]["secrets"]
        url = (secrets / f"{name}_database_url").read_text(encoding="ascii").strip()
        meant = psycopg2.extensions.parse_dsn(url)
        assert meant == {"user": f"{name}_login", "host": "postgres", "dbname": "meterline",
                         "password": (secrets / f"{name}_postgres_password").read_text(encoding="ascii").strip()}
        assert [row.role for row in line.sql(
            "SELECT r.rolname AS role FROM pg_roles r, pg_roles l WHERE l.rolname = %s AND NOT l.rolsuper"
            " AND r.oid <> l.oid AND pg_has_role(l.oid, r.oid, 'MEMBER')", meant["user"])] == [f"meterline_{name}"]
        line.start(name, DATABASE_URL=line.postgres.url_of(meant["user"], meant["dbname"])).wait_ready()


@pytest.mark.parametrize("url, server", [
    ("postgresql://m:p%40ss@db.example.com:6432,other/billing?sslmode=require", "db.example.com:6432,other/billing?sslmode=require"),
    ("postgresql://db/billing", "db/billing"), ("postgresql:///billing?host=/run/postgresql", "/billing?host=/run/postgresql"),
    ("postgresql://db/billing?user=m&password=x", None), ("host=db dbname=billing", None)])
def test_stages_log_in_where_the_owner_does(tmp_path, url, server):
    (tmp_path / "database_url").write_text(url + "\n", encoding="ascii")
    subprocess.run([ROOT / "deploy" / "make_secrets", tmp_path], check=True)
    found = (tmp_path / "sink_database_url").read_text(encoding="ascii").strip()
    password = (tmp_path / "sink_postgres_password").read_text(encoding="ascii").strip()
    assert found == (f"postgresql://sink_login:{password}@{server}" if server else url)


def test_a_tool_has_what_its_commands_need():
    """Some commands of meterctl ask Stripe, and are told in the runbook."""
    assert set(SERVICES["ctl"]["secrets"]) - set(SERVICES["sink"]["secrets"]) == {"database_url"}
    assert set(SERVICES["sink"]["secrets"]) - set(SERVICES["ctl"]["secrets"]) == {"sink_database_url"}
    assert SERVICES["ctl"]["volumes"] == SERVICES["sink"]["volumes"]
    assert set(SERVICES["sink"]["environment"]) - set(SERVICES["ctl"]["environment"]) == {"SINK_INTERVAL_S"}


OLD_PODMAN_COMPOSE = """#!/bin/sh
echo "['podman', '--version', '']"
echo "using podman version: 4.3.1"
echo "podman run --name=x ctl $*"
echo '{"of": "the program"}'
echo "exit code: 4"
"""


def test_a_tool_says_its_own_words_and_ends_with_its_own_code(tmp_path):
    for engine, said in (("podman-compose", OLD_PODMAN_COMPOSE), ("docker-compose", "#!/bin/sh\necho '{\"of\": \"the program\"}'; exit 4")):
        (tmp_path / engine).write_text(said, encoding="ascii")
        (tmp_path / engine).chmod(0o755)
        done = subprocess.run([ROOT / "deploy" / "containers", "ctl", "audit"], check=False, capture_output=True, text=True,
                              env={**os.environ, "COMPOSE": str(tmp_path / engine), "SECRETS": str(tmp_path / "secrets")})
        assert (done.stdout, done.returncode) == ('{"of": "the program"}\n', 4), done.stderr


def test_only_webhooks_are_for_everybody():
    everybody = {name for name, service in SERVICES.items() for port in service.get("ports", ())
                 if not port.startswith("${DASHBOARDS_ADDRESS:-127.0.0.1}:")}
    assert everybody == {"nginx"}


def test_no_secret_stands_in_the_environment(secrets):
    for name, service in SERVICES.items():
        for key, value in service.get("environment", {}).items():
            assert not re.search("(SECRET|PASSWORD|_URL)", key) or key.endswith("_FILE") or \
                re.fullmatch("https?://[a-z]+(:[0-9]+)?(/[a-z/]+)?", value), name
            if str(value).startswith("/run/secrets/"):
                assert value.rpartition("/")[2] in service["secrets"] and value.rpartition("/")[2] in COMPOSE["secrets"]


def flags_of(command):
    """Those that choose which help a program shows."""
    return [word for word in command or () if word == "--daemon"]


@pytest.mark.parametrize("name", sorted(set(OURS) - {"sandbox", "usage"}))
def test_a_service_of_ours_takes_its_settings_and_is_hardened(line, name):
    service = OURS[name]
    program = service["image"].split("/")[1].split(":")[0]
    known = line.must("meterctl" if program == "ctl" else program, *flags_of(service.get("command")), "--help").stdout
    for key in service["environment"]:
        assert f"  {key} " in known or f"or {key} names a file" in known, key
    assert service["read_only"] and service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["mem_limit"] == {"aggregator": "256m", "api": "128m", "emitter": "128m"}.get(name, "64m")


def test_the_images_are_those_that_are_built():
    targets = set(re.findall(r"^FROM \S+ AS (\w+)$", (ROOT / "deploy" / "Containerfile").read_text(), re.MULTILINE))
    assert {service["image"].split("/")[1].split(":")[0] for service in OURS.values()} <= targets


def test_who_sends_events_from_a_pipe_is_not_asked_for_a_daemons_health():
    """podman-compose 1.0 passes `disable: true` over."""
    assert SERVICES["emit"]["image"] == SERVICES["emitter"]["image"] and SERVICES["emitter"]["command"] == ["--daemon"]
    assert SERVICES["emit"]["healthcheck"] == {"test": ["NONE"]} and "command" not in SERVICES["emit"]


def test_no_default_is_empty():
    """podman-compose 1.0 hands `${NAME:-}` on as it stands, and a program refuses it."""
    assert ":-}" not in (ROOT / "deploy" / "compose.yaml").read_text(encoding="utf-8")
