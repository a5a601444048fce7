"""Runs the commands of a page as a reader would: from top to bottom, in one shell, in a clone that is its own.

Servers stand where a reader's stand, on the ports that the page names; the blocks get the real ports of private ones,
and programs that listen on their usual port get another.
"""

import contextlib
import os
import pathlib
import re
import shlex
import shutil
import signal
import socket
import subprocess
import time

from line import process
from line.claim import claim_port
from line.line import TEST_WEBHOOK_SECRET
from line.paths import POSTGRES_USER, ROOT, programs
from line.postgres_template import tool
from line.wait import wait_until

USUAL = {"sandbox": 12111, "webhookd": 8080, "aggregator_ops": 9101, "sink_ops": 9102, "webhookd_ops": 9103,
         "emitter": 8091, "emitter_ops": 9100, "api": 8090, "api_ops": 9104}
STARTED = {"sandbox": "tests/sandbox/run", "webhookd": "meterline-webhookd", "aggregator_ops": "meterline-aggregator",
           "sink_ops": "meterline-sink", "emitter": "meterline-emitter", "api": "meterline-api"}
BLOCK_TIMEOUT_S = 180
SOON_S = 120

PRELUDE = """set -aeu -o pipefail
redis-cli() {{ command redis-cli -e -p {redis} "$@"; }}
meterline-aggregator() {{ OPS_LISTEN=127.0.0.1:{aggregator_ops} command meterline-aggregator "$@"; }}
meterline-sink() {{ OPS_LISTEN=127.0.0.1:{sink_ops} command meterline-sink "$@"; }}
meterline-webhookd() {{
    OPS_LISTEN=127.0.0.1:{webhookd_ops} WEBHOOKD_LISTEN=127.0.0.1:{webhookd} command meterline-webhookd "$@"
}}
meterline-emitter() {{
    OPS_LISTEN=127.0.0.1:{emitter_ops} EMITTER_LISTEN=127.0.0.1:{emitter} command meterline-emitter "$@"
}}
meterline-api() {{ OPS_LISTEN=127.0.0.1:{api_ops} API_LISTEN=127.0.0.1:{api} command meterline-api "$@"; }}
sudo() {{ "$@"; }}
"""


# Stripe's tool as far as the pages use it, against the stand-in: `stripe post PATH -d NAME=VALUE…`. What a reader copies
# from an answer to the next command is in the variables that the page names.
STRIPE_TOOL = """stripe() {
    local words=()
    for word in "${@:3}"; do [ "$word" = -d ] && words+=(--data-urlencode) || words+=("$word"); done
    curl -sS --fail-with-body -u "$STRIPE_SECRET_KEY:" "$STRIPE_API_BASE$2" "${words[@]}" | tee answer.json
    local id; id=$(/usr/bin/python3 -c 'import json; print(json.load(open("answer.json"))["id"])')
    case "$2 ${*:3}" in
        */customers*) CUSTOMER=$id ;;
    esac
}
"""


class PageShell:
    def __init__(self, line, folder):
        self.line = line
        self.folder = folder
        self.claims = {name: claim_port() for name in USUAL}
        self.ports = {name: port for name, (port, _) in self.claims.items()}
        self.ports |= {"redis": line.redis.port, "postgres": line.postgres.port}
        self.clone = folder / "clone"
        self.clone.mkdir()
        for entry in ROOT.iterdir():
            if entry.name not in ("build", ".git"):
                (self.clone / entry.name).symlink_to(entry)
        home = folder / "home"
        home.mkdir()
        env = process.clean_env({
            "HOME": home, "PGHOST": "127.0.0.1", "PGPORT": line.postgres.port, "PGUSER": "postgres", "TERM": "dumb",
            "PGDATA": line.postgres.data, "SINK_RECONCILE_AT": "00:00", "no_proxy": "*", "COLUMNS": "120"})
        env["PATH"] = ":".join([str(programs()), str(pathlib.Path(tool("postgres")).parent), "/usr/sbin", env["PATH"]])
        self.shell = subprocess.Popen(["bash", "--noprofile", "--norc"], cwd=self.clone, env=env, text=True,
                                      stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                      preexec_fn=process.tied_to_parent(), start_new_session=True)
        self._let_postgres_start_again()
        self.count = 0
        self._say(PRELUDE.format(**self.ports))

    def _let_postgres_start_again(self):
        """By pg_ctl, with the settings of the one that runs."""
        server = self.line.postgres
        settings = [word for word in server.command() if re.match(r"\w+=", str(word))]
        with open(server.data / "postgresql.conf", "a", encoding="utf-8") as conf:
            conf.writelines(f"{name} = '{value}'\n" for name, _, value in (word.partition("=") for word in settings))
        if POSTGRES_USER:
            shutil.chown(server.data.parent, POSTGRES_USER)

    def with_ports(self, text):
        usual = {6379: "redis", 5432: "postgres", **{port: name for name, port in USUAL.items()}}
        def real(found):
            return f"{found[1]}:{self.ports[usual[int(found[2])]]}" if int(found[2]) in usual else found[0]
        return re.sub(r"(127\.0\.0\.1|localhost):(\d+)", real, text)

    def export(self, **settings):
        for name, value in settings.items():
            self._say(f"export {name}={shlex.quote(str(value))}")

    def begin_at_a_line(self):
        """As after the quickstart: a line that runs, with two customers."""
        meters = [{"event_name": name, "formula": "last" if name in ("storage_gb", "user_seats") else "sum"}
                  for name in ("llm_tokens", "agent_executions", "api_calls", "storage_gb", "user_seats")]
        line = self.line
        webhookd = line.start_webhookd(OPS_LISTEN=f"127.0.0.1:{self.ports['webhookd_ops']}",
                                       WEBHOOKD_LISTEN=f"127.0.0.1:{self.ports['webhookd']}").wait_ready()
        line.start_aggregator(OPS_LISTEN=f"127.0.0.1:{self.ports['aggregator_ops']}").wait_ready()
        line.start_api(OPS_LISTEN=f"127.0.0.1:{self.ports['api_ops']}", API_LISTEN=f"127.0.0.1:{self.ports['api']}").wait_ready()
        line.start_sink(SINK_INTERVAL_S=1, OPS_LISTEN=f"127.0.0.1:{self.ports['sink_ops']}").wait_ready()
        line.sandbox.webhook(webhookd.webhook_url, secret=TEST_WEBHOOK_SECRET)
        line.sandbox.bootstrap(meters=meters, tenants=["acme", "globex"], price_lookup_key="standard",
                               backdate_start_date=int(time.time()) - 86_400)
        for plan in ("free", "enterprise"):
            line.sandbox.bootstrap(meters=[], tenants=[], price_lookup_key=plan)
        line.wait_for(lambda: line.value("SELECT count(*) FROM subscriptions") == 2, 30, "both have subscribed")
        self.export(**line.env())

    def have_stripes_tool(self):
        self._say(STRIPE_TOOL)

    def run(self, block):
        """What it printed. Raises if one of its commands failed."""
        self.count += 1
        text = self.with_ports(block.text)
        script = self.folder / f"block-{self.count}"
        if block.language == "sql":
            text = f"psql -X -v ON_ERROR_STOP=1 -d \"$(psql -XAtd postgres -c \"{DATABASE}\")\" <<'END'\n{text}END\n"
        elif block.language == "python":
            text = f"/usr/bin/python3 - <<'END'\n{text}END\n"
        if block.mark == "as: postgres" and POSTGRES_USER:
            as_user = f"setpriv --reuid={POSTGRES_USER} --regid={POSTGRES_USER} --clear-groups bash -eu -o pipefail -c"
            text = f"{as_user} {shlex.quote(text)}\n"
        script.write_text(text, encoding="utf-8")
        return self._source(block, script)

    def _source(self, block, script):
        out, done = script.with_suffix(".out"), script.with_suffix(".done")
        if block.mark == "shown soon":  # In a shell of its own: if it fails, this one goes on, and it is run again.
            again = script.with_suffix(".again")
            again.write_text(f"bash -eu -o pipefail {script} >{out} 2>&1 </dev/null && rc=0 || rc=$?\n"
                             f"echo $rc >{done}.now; mv {done}.now {done}\n", encoding="utf-8")
            self._say(f"source {again}")
            return self._end(block, out, done)
        self._say(f"trap 'echo $? >{done}.now; mv {done}.now {done}' EXIT\n"
                  f"source {script} >{out} 2>&1 </dev/null\ntrap - EXIT; echo 0 >{done}.now; mv {done}.now {done}")
        return self._end(block, out, done)

    def _end(self, block, out, done):
        end = time.monotonic() + BLOCK_TIMEOUT_S
        while not done.exists():
            if time.monotonic() > end or self.shell.poll() is not None and not done.exists():
                raise AssertionError(f"{block} did not end: {self._read(out)}")
            time.sleep(0.02)
        told = self._read(out)
        assert done.read_text().strip() == "0", f"{block}:\n{block.text}\nended with {done.read_text()}{told}"
        for name, started in STARTED.items():
            if re.search(rf"{started}.*&( *#.*)?$", block.text, re.MULTILINE):
                wait_until(lambda name=name: self._listens(name), SOON_S, f"what {block} starts listens")
        return told

    def _listens(self, name):
        with socket.socket() as s:
            return s.connect_ex(("127.0.0.1", self.ports[name])) == 0

    @staticmethod
    def _read(path):
        return path.read_text(encoding="utf-8", errors="replace") if path.exists() else ""

    def _say(self, text):
        self.shell.stdin.write(text + "\n")
        self.shell.stdin.flush()

    def run_until_shown(self, block, shown):
        """Runs it, and once more for as long as a block that only looks does not show this yet."""
        end = time.monotonic() + SOON_S
        while True:
            told, different = self._try(block, shown)
            if not different:
                return
            if block.mark != "shown soon" or time.monotonic() > end:
                raise AssertionError(f"{shown} is not what {block} prints: {different}\n{told}")
            time.sleep(0.2)

    def _try(self, block, shown):
        try:
            told = self.run(block)
        except AssertionError as error:
            if block.mark != "shown soon":
                raise
            return str(error), "it failed"
        return told, difference(told, shown) if shown else None

    def close(self):
        if not self.line.postgres.running:  # A page may have started another on the same data.
            subprocess.run([tool("pg_ctl"), "stop", "--mode=immediate", "-D", self.line.postgres.data], user=POSTGRES_USER,
                           group=POSTGRES_USER, extra_groups=[] if POSTGRES_USER else None, check=False, cwd="/",
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.shell.pid, signal.SIGKILL)
        self.shell.wait()
        with contextlib.suppress(BrokenPipeError):
            self.shell.stdin.close()
        for _, claim in self.claims.values():
            claim.release()


DATABASE = "SELECT coalesce(min(datname), 'postgres') FROM pg_database WHERE datname = 'meterline'"


def difference(told, shown):
    """The first line of a block of text that the output lacks, in that order; None if it has them all. … stands for
    anything."""
    lines = iter([plain(line, shown) for line in told.splitlines()])
    for wanted in shown.text.splitlines():
        if wanted.strip() in ("", "…"):
            continue
        pattern = ".*".join(map(re.escape, plain(wanted, shown).split("…")))
        if not any(re.fullmatch(pattern, line) for line in lines):
            return wanted
    return None


def plain(line, shown):
    line = re.sub(r"\s+", " ", line.strip())
    return re.sub(r"\d[\d,.:]*", "N", line) if shown.mark == "figures vary" else line
