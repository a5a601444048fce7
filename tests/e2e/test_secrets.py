"""Keys, signing secrets and passwords: the wrong kind is refused at start, and files that are rolled
under a running stage are read again."""

import itertools
import json
import signal
import subprocess

import pytest

from line import Line
from line.line import TEST_KEY, TEST_WEBHOOK_SECRET
from line.process import send
from support.sink_shop import add_tenants, count, is_sent, open_shop, use_transport
from support.webhooks import Events, customer, post, signature

WRONG = [  # setting, its text, what is said of it
    ("STRIPE_SECRET_KEY", "pk_test_hunter2", "a publishable key (pk_)"),
    ("STRIPE_SECRET_KEY", "whsec_hunter2", "signing secret of a webhook endpoint"),
    ("STRIPE_SECRET_KEY", "hunter2", "begins with sk_ or rk_"),
    ("STRIPE_WEBHOOK_SECRET", "sk_test_hunter2", "a secret key of the API (sk_)"),
    ("STRIPE_WEBHOOK_SECRET", "whsec_1,pk_live_hunter2", "a publishable key (pk_)"),
    ("STRIPE_WEBHOOK_SECRET", "we_hunter2", "the id of a webhook endpoint (we_)"),
]
USERS = [("sink", "STRIPE_SECRET_KEY"), ("webhookd", "STRIPE_SECRET_KEY"),
         ("webhookd", "STRIPE_WEBHOOK_SECRET"), ("meterctl", "STRIPE_SECRET_KEY")]


@pytest.mark.parametrize("name, setting, text, said", [
    (name, *case) for name, setting in USERS for case in WRONG if case[0] == setting])
@pytest.mark.parametrize("by_file", [False, True], ids=["variable", "file"])
def test_a_secret_of_another_kind_is_refused_and_never_shown(folder, name, setting, text, said,
                                                             by_file):
    line = Line(folder)
    settings = {setting: text}
    if by_file:
        path = folder / "secret"
        path.write_text(f"{text}\r\n", encoding="utf-8")
        settings = {setting: None, f"{setting}_FILE": str(path)}
    done = line.run(name, *(["reconcile"] if name == "meterctl" else []), **settings)
    assert done.returncode == 2, done.stderr
    assert said in done.stderr and setting in done.stderr and "hunter2" not in done.stderr


class Mounted:
    """A folder as Kubernetes mounts a secret: files are links through ..data, which is turned to
    another folder in one step."""

    def __init__(self, folder, **texts):
        self.folder = folder / "mounted"
        self.folder.mkdir()
        self.turns = itertools.count()
        self.texts = texts
        self.turn()
        for name in texts:
            (self.folder / name).symlink_to(f"..data/{name}")

    def turn(self, **texts):
        self.texts.update(texts)
        real = self.folder / f"..turn{next(self.turns)}"
        real.mkdir()
        for name, text in self.texts.items():
            (real / name).write_text(text, encoding="utf-8")
        link = self.folder / "..data_tmp"
        link.symlink_to(real.name)
        link.rename(self.folder / "..data")

    def setting(self, name):
        """X is unset, X_FILE names the file."""
        return {name: None, f"{name}_FILE": str(self.folder / name)}


def test_a_signing_secret_that_is_turned_is_in_force_without_a_restart(line):
    mounted = Mounted(line.folder, STRIPE_WEBHOOK_SECRET="\ufeffwhsec_old\r\n\r\n")
    webhookd = line.start_webhookd(STRIPE_SECRET_KEY=None,
                                   **mounted.setting("STRIPE_WEBHOOK_SECRET")).wait_ready()
    events = Events()

    def status(secret):
        body = json.dumps(events.make("customer.created", customer())).encode()
        return post(webhookd, body, signature(body, secret))[0]

    assert (status("whsec_old"), status("whsec_new")) == (200, 400)
    mounted.turn(STRIPE_WEBHOOK_SECRET="whsec_new,whsec_old\n")
    webhookd.wait_log("setting_changed", setting="STRIPE_WEBHOOK_SECRET")
    assert (status("whsec_old"), status("whsec_new")) == (200, 200)
    # What cannot be used changes nothing, and is told without its text.
    for text, said in (("", "empty"), ("sk_test_hunter2", "a secret key of the API"),
                       ("whsec_1\nwhsec_hunter2", "more than one line")):
        mark = webhookd.mark()
        mounted.turn(STRIPE_WEBHOOK_SECRET=text)
        told = webhookd.wait_log("setting_kept", since=mark, setting="STRIPE_WEBHOOK_SECRET")
        assert said in told["err"] and "hunter2" not in str(told)
        assert (status("whsec_old"), status("whsec_new")) == (200, 200)
    mounted.turn(STRIPE_WEBHOOK_SECRET="whsec_new")
    line.wait_for(lambda: len(webhookd.logs("setting_changed")) == 2)
    assert (status("whsec_old"), status("whsec_new")) == (400, 200)


def test_hup_reads_a_file_that_was_written_in_place(line):
    path = line.folder / "secret"
    path.write_text("whsec_old", encoding="utf-8")
    webhookd = line.start_webhookd(STRIPE_SECRET_KEY=None, STRIPE_WEBHOOK_SECRET=None,
                                   STRIPE_WEBHOOK_SECRET_FILE=str(path)).wait_ready()
    path.write_text("whsec_new", encoding="utf-8")
    send(webhookd.pid, signal.SIGHUP)
    webhookd.wait_log("settings_read_again", cause="SIGHUP")
    webhookd.wait_log("setting_changed", setting="STRIPE_WEBHOOK_SECRET")
    path.unlink()
    webhookd.wait_log("setting_kept", setting="STRIPE_WEBHOOK_SECRET")
    body = b'{"id": "evt_1", "object": "event", "type": "x", "created": 1}'
    assert post(webhookd, body, signature(body, "whsec_new"))[0] == 200
    webhookd.term()


def test_hup_ends_no_stage_that_has_no_file(line):
    line.start_sandbox()
    stages = [line.start(name).wait_ready() for name in ("aggregator", "sink", "webhookd")]
    for stage in stages:
        send(stage.pid, signal.SIGHUP)
        stage.wait_log("settings_read_again")
        stage.term()


def statuses(sandbox, path):
    return {request["status"] for request in sandbox.requests(path)}


@pytest.mark.parametrize("transport, path", [
    ("meter_events", "/v1/billing/meter_events"),
    ("meter_event_stream", "/v2/billing/meter_event_session")])
def test_the_sink_goes_on_with_a_rolled_key(line, transport, path):
    shop = open_shop(line)
    add_tenants(shop, "acme", "bolt")
    use_transport(shop, transport, "api_calls")
    mounted = Mounted(line.folder, STRIPE_SECRET_KEY=TEST_KEY)
    sink = line.start_sink(SINK_INTERVAL_S="1", **mounted.setting("STRIPE_SECRET_KEY")).wait_ready()
    count(shop, "api_calls", 5, "acme")
    line.wait_for(is_sent(line, 1))
    mounted.turn(STRIPE_SECRET_KEY="sk_live_hunter2")
    told = sink.wait_log("setting_kept", setting="STRIPE_SECRET_KEY")
    assert "restart" in told["err"] and "hunter2" not in str(told)
    mounted.turn(STRIPE_SECRET_KEY="sk_test_rolled\n")
    sink.wait_log("setting_changed", setting="STRIPE_SECRET_KEY")
    line.sandbox.key(TEST_KEY, expired=True)
    if transport == "meter_event_stream":
        # Its session goes on for its 15 minutes, unless Stripe ends it.
        line.sandbox.fault("status", path="/v2/billing/meter_event_stream", status=401, times=1)
    count(shop, "api_calls", 7, "bolt")
    line.wait_for(is_sent(line, 2))
    assert statuses(line.sandbox, path) == {200}
    assert "sk_test_rolled" not in sink.log_tail(500)


def test_webhookd_fetches_with_a_rolled_key(line):
    sandbox = line.start_sandbox(rate_per_s=0)
    mounted = Mounted(line.folder, STRIPE_SECRET_KEY=TEST_KEY)
    webhookd = line.start_webhookd(**mounted.setting("STRIPE_SECRET_KEY")).wait_ready()
    sandbox.webhook(webhookd.webhook_url, secret=TEST_WEBHOOK_SECRET)
    mounted.turn(STRIPE_SECRET_KEY="sk_test_rolled")
    webhookd.wait_log("setting_changed", setting="STRIPE_SECRET_KEY")
    sandbox.key(TEST_KEY, expired=True)
    sandbox.bootstrap(tenants=["acme"])
    line.wait_for(lambda: line.value("SELECT count(*) FROM billing_customers") == 1)
    assert statuses(sandbox, "/v1/customers/cus_") == {200}


OURS = "FROM pg_stat_activity WHERE application_name ~ '^meterline-' AND pid <> pg_backend_pid()"


def drop_sessions(line):
    line.sql(f"SELECT pg_terminate_backend(pid) {OURS}")
    line.client().execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")


@pytest.mark.own_servers
def test_sessions_that_are_made_anew_use_the_rolled_passwords(line):
    """Both servers cut every session, as they may after a password is gone."""
    line.sql("CREATE ROLE rolled LOGIN SUPERUSER")
    place = line.redis.url.removeprefix("redis://")
    line.client().execute_command("ACL", "SETUSER", "line", "on", ">first", "~*", "&*", "+@all")
    mounted = Mounted(line.folder, DATABASE_URL=line.postgres.url,
                      REDIS_URL=f"redis://line:first@{place}")
    line.start_sandbox()
    settings = {**mounted.setting("DATABASE_URL"), **mounted.setting("REDIS_URL")}
    stages = [line.start(name, **settings).wait_ready() for name in ("aggregator", "webhookd")]
    sink = line.start_sink(**mounted.setting("DATABASE_URL")).wait_ready()
    line.client().execute_command("ACL", "SETUSER", "line", "<first", ">second")
    other = line.postgres.url_of("rolled")
    mounted.turn(DATABASE_URL=other, REDIS_URL=f"redis://line:second@{place}")
    for stage in (*stages, sink):
        stage.wait_log("setting_changed", setting="DATABASE_URL")
    for stage in stages:
        stage.wait_log("setting_changed", setting="REDIS_URL")
    drop_sessions(line)
    line.wait_for(lambda: [row.usename for row in line.sql(f"SELECT DISTINCT usename {OURS}")] == ["rolled"])
    for stage in (*stages, sink):
        line.wait_for(stage.ready)
        assert "second" not in stage.log_tail(500)
    line.xadd(id="1", tenant="acme", metric="api_calls", quantity="3")
    line.wait_for(lambda: line.value("SELECT sum(quantity) FROM usage_totals") == 3)
    line.wait_for(lambda: line.client().hget("quota:{acme}", "api_calls.used") == "3")


def test_another_database_or_redis_needs_a_restart(line):
    mounted = Mounted(line.folder, DATABASE_URL=line.postgres.url, REDIS_URL=line.redis.url)
    aggregator = line.start_aggregator(**mounted.setting("DATABASE_URL"),
                                       **mounted.setting("REDIS_URL")).wait_ready()
    mounted.turn(DATABASE_URL=line.postgres.url_of("postgres", "other"),
                 REDIS_URL=line.redis.url.rstrip("/") + "/3")
    assert "another database" in aggregator.wait_log("setting_kept", setting="DATABASE_URL")["err"]
    assert "user and password" in aggregator.wait_log("setting_kept", setting="REDIS_URL")["err"]
    line.xadd(id="1", tenant="acme", metric="api_calls", quantity="3")
    line.wait_for(lambda: line.value("SELECT sum(quantity) FROM usage_totals") == 3)


@pytest.mark.own_servers
def test_the_emitter_goes_on_with_a_rolled_password(line):
    place = line.redis.url.removeprefix("redis://")
    client = line.client()
    client.execute_command("ACL", "SETUSER", "line", "on", ">first", "~*", "&*", "+@all")
    mounted = Mounted(line.folder, REDIS_URL=f"redis://line:first@{place}")
    emitter = line.start("emitter", popen={"stdin": subprocess.PIPE}, **mounted.setting("REDIS_URL"))

    def emit(first, n):
        for i in range(first, first + n):
            emitter.process.stdin.write(
                b'{"tenant": "acme", "metric": "api_calls", "id": "%d"}\n' % i)
        emitter.process.stdin.flush()

    emit(0, 1000)
    line.wait_for(lambda: client.xlen("usage:events") >= 1000)
    client.execute_command("ACL", "SETUSER", "line", "<first", ">second")
    client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    emit(1000, 1000)
    emitter.wait_log("peer_lost")
    mounted.turn(REDIS_URL=f"redis://line:second@{place}")
    emitter.process.stdin.close()
    assert emitter.wait_exit(60) == 0
    emitter.wait_log("setting_changed")
    ids = {fields["id"] for _, fields in client.xrange("usage:events")}
    assert len(ids) == 2000
