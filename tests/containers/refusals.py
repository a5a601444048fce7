"""What a container says of bad input: one line, then exit code 2; or it waits, and is not ready.

Elsewhere: that a migration that fails leaves nothing behind (e2e/test_migrate), and what a full Redis does to
the line (e2e/test_redis_full).
"""

import contextlib
import uuid

from engine import FOLDER, NETWORK, PROJECT, Failed, attempt, in_container, logs, run, until

HARDENED = ("--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges", "--memory=64m")


def check():
    folder = FOLDER / "secrets"
    good = {name: f"/run/secrets/{name}" for name in ("database_url", "redis_url", "stripe_secret_key", "stripe_webhook_secret")}
    (folder / "empty_database_url").write_text(
        (folder / "database_url").read_text(encoding="utf-8").replace("/meterline\n", "/empty\n"), encoding="utf-8")
    (folder / "wrong_url").write_text("https://redis:6379\n", encoding="utf-8")
    (folder / "unknown_host").write_text("redis://nobody:6379\n", encoding="utf-8")

    refuses("sink", {**good, "stripe_secret_key": "/run/secrets/nothing"}, 2, "STRIPE_SECRET_KEY_FILE", "No such file")
    refuses("sink", {**good, "redis_url": "/run/secrets/wrong_url"}, 2, "REDIS_URL", "must begin with redis://")
    refuses("webhookd", good, 1, "WEBHOOKD_LISTEN", "Address already in use", "--env=WEBHOOKD_LISTEN=:9103")
    waits("aggregator", {**good, "redis_url": "/run/secrets/unknown_host"}, "peer_lost")

    sql("meterline", "CREATE DATABASE empty")
    for stage in ("aggregator", "sink", "webhookd", "notifier", "api"):
        waits(stage, {**good, "database_url": "/run/secrets/empty_database_url"}, "meterctl migrate")
    if sql("empty", "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace").strip() != "0":
        raise Failed("a stage made something in a database without a schema")

    unwritable_volume()
    print("refused in one line: a missing secret, a wrong URL, a port in use; waited for: an unknown host, a schema; "
          "told: a volume that cannot be written", flush=True)


def sql(database, query):
    return in_container("postgres", "psql", "-Umeterline", f"-d{database}", "-At", "-c", query)


@contextlib.contextmanager
def started(image, *options):
    container = f"{PROJECT}-refused-{uuid.uuid4().hex[:8]}"
    run("podman", "run", "--detach", "--name", container, "--net", NETWORK, *HARDENED, *options, image)
    try:
        yield container
    finally:
        run("podman", "rm", "--force", "--time=0", container)


def stage(name, secrets, *options):
    files = [f"--env={setting.upper()}_FILE={path}" for setting, path in secrets.items()]
    return started(f"meterline/{name}", *secret_files(), *files, *options)


def secret_files():
    """One by one, as compose does: the folder is its owner's alone."""
    return [f"--volume={path}:/run/secrets/{path.name}:ro" for path in sorted((FOLDER / "secrets").iterdir())]


def refuses(name, secrets, code, setting, why, *options):
    with stage(name, secrets, *options) as container:
        told = run("podman", "wait", container).strip()
        errors = [line for line in logs(container).splitlines() if "level=error" in line]
        if told != str(code) or len(errors) != 1 or setting not in errors[0] or why not in errors[0]:
            raise Failed(f"{name}: exit code {told}, not {code}; {errors}")


def waits(name, secrets, said):
    with stage(name, secrets) as container:
        until(lambda: said in logs(container), f"{name} says {said}")
        health = attempt("podman", "exec", container, f"meterline-{name}", "--healthcheck").returncode
        running = run("podman", "inspect", "--format={{.State.Running}}", container).strip()
        if (health, running) != (1, "true"):
            raise Failed(f"{name} is not waiting: health {health}, running {running}\n{logs(container)}")


def unwritable_volume():
    """Stages write to none; Redis says so and ends, and is started again until somebody mends it."""
    empty = FOLDER / "unwritable"
    empty.mkdir(exist_ok=True)
    with started("standin/redis", "--user=999:999", *secret_files(),
                 f"--volume={empty}:/data:ro", "--entrypoint=[\"redis-server\", \"/run/secrets/redis_conf\"]") as container:
        run("podman", "wait", container)
        if "Can't open or create append-only dir" not in logs(container):
            raise Failed(logs(container))
