"""The pages: what they tell a reader to type works, what they show is what one sees, and what they name exists."""

import configparser
import contextlib
import json
import re
import shutil
import subprocess

import pytest
import yaml

from line import Line, Pgbouncer
from line.line import TEST_WEBHOOK_SECRET
from line.paths import ROOT
from line.postgres_template import DATABASE
from line.process import clean_env
from line.stages import program
from support.page_shell import PageShell
from support.pages import COMMANDS, LANGUAGES, NEEDS, RUNNERS, all_pages

PAGES = all_pages()
BY_NAME = {page.name: page for page in PAGES}
BLOCKS = [block for page in PAGES for block in page.blocks]
MARKS = ["", "as: postgres", "shown soon", "figures vary", "an excerpt", "dry run",
         *(f"run by: {runner}" for runner in RUNNERS), *(f"needs: {what}" for what in NEEDS)]
EMPTY = "<!-- the commands of this page begin on empty servers -->"
MADE = ("deploy/secrets/", "deploy/secrets/grafana_admin_password")  # By commands that the pages name.
FOREIGN = "pm_card_"  # Stripe's.
STAGES = ("emitter", "aggregator", "sink", "webhookd", "notifier", "api")


def is_run_here(block):
    return block.language in COMMANDS and not block.mark.startswith(("run by: ", "needs: ", "dry run"))


RUN_HERE = [page.name for page in PAGES if any(map(is_run_here, page.blocks))]


# What the pages tell to type.

@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_each_block_says_what_it_is_and_who_runs_it(page):
    for block in page.blocks:
        assert block.language in LANGUAGES, f"{block} is of no known language"
        assert block.mark in MARKS, f"{block}: nobody knows the mark {block.mark!r}"
        if block.language == "text" and not block.mark.startswith(("an excerpt", "run by: ")):
            before = page.blocks[page.blocks.index(block) - 1]
            assert page.blocks[0] is not block and before.language in COMMANDS, f"{block}: what prints it?"
    loose = [line for line in re.sub(r"\n([-*]|\d+\.) .*(\n +.*|\n(?=\n +))*", "\n", page.prose).splitlines()
             if line.startswith("    ")]
    assert not loose, f"a block that is not fenced: {loose[0]}"


@pytest.fixture(name="shell")
def shell_fixture(request, folder):
    """Where the page begins: at a line that runs, or on servers that know nothing of it."""
    page = BY_NAME[request.param]
    if EMPTY in page.text:
        line = request.node.meterline = Line(folder).start_servers()
        with contextlib.closing(line.postgres.connect(line.postgres.url_of("postgres", "postgres"))) as admin:
            admin.cursor().execute("DROP DATABASE meterline")
    else:
        line = request.getfixturevalue("line")
        line.start_sandbox(rate_per_s=0)
    shell = PageShell(line, folder)
    if EMPTY not in page.text:
        shell.begin_at_a_line()
    yield page, shell
    shell.close()
    line.close()


@pytest.fixture(name="postgres_conf")
def postgres_conf_fixture():
    return {"fsync": "on"}


@pytest.mark.own_servers
@pytest.mark.parametrize("shell", RUN_HERE, indirect=True)
def test_what_a_page_tells_to_type_works(shell):
    page, shell = shell
    for block, after in zip(page.blocks, [*page.blocks[1:], None]):
        shown = after if after and after.language == "text" and not after.mark.startswith(("an excerpt", "run by: ")) else None
        if is_run_here(block):
            shell.run_until_shown(block, shown)


@pytest.mark.own_servers
def test_what_the_page_on_stripe_tells_makes_a_tenant_with_a_plan(line, folder):
    """Against the stand-in, which refuses parameters that it does not know."""
    line.start_sandbox(rate_per_s=0)
    webhookd = line.start_webhookd().wait_ready()
    line.sandbox.webhook(webhookd.webhook_url, secret=TEST_WEBHOOK_SECRET)
    shell = PageShell(line, folder)
    try:
        shell.export(**line.env())
        shell.have_stripes_tool()
        told = [block for block in BY_NAME["docs/stripe-sandbox.md"].blocks
                if re.search("stripe post|meterctl stripe setup", block.text)]
        assert len(told) == 2
        for block in told:
            shell.run(block)
        limit = "SELECT limit_quantity::int FROM usage_quotas WHERE tenant = 'acme' AND metric = 'api_calls'"
        line.wait_for(lambda: line.value(limit) == 100_000, 30, "acme has the plan standard")
        assert line.value("SELECT stripe_price_id IS NOT NULL FROM subscription_items WHERE metric = 'api_calls'")
    finally:
        shell.close()


def test_the_page_on_stripe_has_the_events_and_permissions_that_the_code_needs():
    page = BY_NAME["docs/stripe-sandbox.md"].text
    code = "".join(path.read_text(encoding="utf-8") for folder in ("webhookd/work", "common/stripe/objects", "ctl/doctor")
                   for path in (ROOT / folder).glob("*.c"))
    lists = re.findall(r"static const char \*const (?:\w*TYPES|EVENTS)\[\] = \{(.*?)\};", code, re.DOTALL)
    needed = {event for each in lists for event in re.findall(r'"([a-z_.]+)"', each)}
    told = {event for event in re.findall(r"`([a-z_]+(?:\.[a-z_]+)+)`", page) if event.split(".")[0] != "metadata"}
    assert told - {"v1.billing.meter.error_report_triggered", "v1.billing.meter.no_meter_found"} == needed
    row = next(line for line in page.splitlines() if line.startswith("| `meterline-webhookd` |"))
    for path in re.findall(r'\.path = "v1/([a-z_/]+)"', code):
        assert path.replace("_", " ").replace("/", " ") in row, path


def targets_of_make():
    rules = re.findall(r"^([a-z][\w-]*(?: [a-z][\w-]*)*):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    return {target for rule in rules for target in rule.split()}


def test_make_knows_what_the_pages_tell_it_to_make():
    known = targets_of_make()
    for block in BLOCKS:
        if block.language == "sh":
            for command in re.findall(r"\bmake((?: [\w=:./-]+)*)", "\n".join(block.commands)):
                targets = [word for word in command.split() if "=" not in word and not word.startswith("-")]
                assert set(targets) <= known, f"{block}: make {command}"
    for page in PAGES:
        targets = {word for code in page.code for word in re.findall(r"^(?:\w+=\S+ )*make ([a-z][\w-]*)", code)}
        assert targets <= known, f"{page.name}: {targets - known}"


def steps_of(workflow):
    """Its commands, with what a matrix puts in."""
    jobs = yaml.safe_load(workflow.read_text(encoding="utf-8"))["jobs"].values()
    assert {step["uses"].split("@")[0] for job in jobs for step in job["steps"] if "uses" in step} == {"actions/checkout"}
    tasks = [task for job in jobs for values in job.get("strategy", {}).get("matrix", {}).values() for task in values]
    return [line.strip() for job in jobs for step in job["steps"] for line in step.get("run", "").splitlines()] + tasks


@pytest.mark.parametrize("workflow", sorted((ROOT / ".github" / "workflows").iterdir()), ids=lambda path: path.name)
def test_a_workflow_makes_what_there_is_and_runs_what_the_pages_say(workflow):
    steps = steps_of(workflow)
    for made in re.findall(r"^make\b(.*)$", "\n".join(steps), re.MULTILINE):
        assert {word for word in made.split() if "=" not in word} <= targets_of_make(), made
    for block in BLOCKS:
        if block.mark == f"run by: {workflow.name}":
            assert set(block.commands) <= set(steps), f"{block}: {set(block.commands) - set(steps)}"


def test_what_takes_long_is_what_make_would_do():
    commands = {command for block in BLOCKS if block.mark == "dry run" for command in block.commands}
    targets = set()
    for command in commands:
        settings, name, words = re.fullmatch(r"((?:\w+=\S+ )*)(make)((?: [\w=:./-]+)*)", command).groups()
        targets |= {word for word in words.split() if "=" not in word}
        for test in re.findall(r"\bT=(\w+)", words):
            assert list(ROOT.glob(f"tests/*/{test}.[cp]*")), command
        for setting in re.findall(r"(\w+)=", settings):
            assert any(setting in path.read_text() for path in (ROOT / "tests/bench/settings.py", ROOT / "tests/soak")), command
    done = subprocess.run(["make", "-n", *sorted(targets)], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_json_and_yaml_are_well_formed():
    for block in BLOCKS:
        if block.language == "json":
            json.loads(block.text)
        if block.language == "yaml":
            list(yaml.safe_load_all(block.text))


@pytest.mark.own_servers
def test_pgbouncer_takes_the_settings_of_the_page(line):
    [block] = [block for block in BLOCKS if block.language == "ini" and "[pgbouncer]" in block.text]
    told = configparser.ConfigParser(delimiters=("=",))
    told.read_string(block.text)
    pooler = Pgbouncer(line.folder, line.postgres, **told["pgbouncer"]).start()
    try:
        assert list(told["databases"]) == [DATABASE]
        line.must("meterctl", "migrate", DATABASE_URL=pooler.url)
        pools = {row["database"]: row for row in pooler.show("POOLS")}
        assert pools[DATABASE]["pool_mode"] == "transaction"
    finally:
        pooler.close()


# What the pages name.

@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for link in page.links:
        path, _, anchor = link.partition("#")
        if re.match(r"[a-z]+:", path):
            continue
        target = (page.path.parent / path).resolve() if path else page.path
        assert target.exists(), f"{page.name}: {link}"
        name = str(target.relative_to(ROOT))
        if anchor and name in BY_NAME:
            assert anchor in BY_NAME[name].anchors, f"{page.name}: {link}"


@pytest.fixture(name="helps", scope="module")
def helps_fixture():
    """The help of each program, and of each command of meterctl, by what one types."""
    def ask(*words):
        return subprocess.run([program(words[0]), *words[1:], "--help"], capture_output=True, text=True, check=True).stdout

    helps = {f"meterline-{stage}": ask(stage) for stage in STAGES}
    helps["meterctl"] = ask("meterctl")
    for line in helps["meterctl"].splitlines():
        if found := re.match(r"  meterctl ([a-z]+(?: [a-z]+(?= |$))?)", line):
            helps[f"meterctl {found[1]}"] = ask("meterctl", *found[1].split())
    return helps


def typed(page):
    """What a reader may type, line by line."""
    return [*page.code, *(command for block in page.blocks if block.language == "sh" for command in block.commands)]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_and_their_flags_exist(page, helps):
    words = {name.split()[1] for name in helps if " " in name}
    for text in typed(page):
        for name, rest in re.findall(r"(?<![\w/-])(meterctl|meterline-(?:emitter|aggregator|sink|webhookd|notifier))(?![\w-])([^|;&>`)]*)", text):
            given = rest.split()
            command = name
            if name == "meterctl" and given and re.fullmatch("[a-z]+(?:\\|[a-z]+)*", given[0]):
                assert given[0] in words, f"{page.name}: {text}"
                command = next((f"{name} {' '.join(given[:n])}" for n in (2, 1) if f"{name} {' '.join(given[:n])}" in helps), "")
                if not command:  # The first word of several commands.
                    assert len(given) == 1 or not re.fullmatch("[a-z]+", given[1]) or "|" in given[1], f"{page.name}: {text}"
                    command = next(known for known in helps if known.startswith(f"{name} {given[0]} "))
            for flag in re.findall(r"(?<!\S)\[?(--[a-z][a-z-]*)", rest):
                assert re.search(rf"{flag}\b", helps[command] + (helps[name] if name != command else "")), f"{page.name}: {text}"


@pytest.fixture(name="words", scope="module")
def words_fixture():
    """Each name that the code, the schema, the catalog or what deploys them has, and each file's."""
    suffixes = {".c", ".h", ".sql", ".py", ".json", ".yaml", ".yml", ".service", ".tpl", ""}
    listed = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=ROOT, text=True,
                            capture_output=True, check=True).stdout.split()
    files = [ROOT / name for name in listed if not name.startswith("docs/") and (ROOT / name).suffix in suffixes]
    texts = [path.read_text(encoding="utf-8", errors="replace") for path in files
             if path.is_file() and path.name != "test_docs.py"]
    return set(re.findall(r"\w+", " ".join(texts))) | {path.stem for path in files}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_settings_metrics_and_other_names_exist(page, helps, words, line):
    settings = set(re.findall(r"^  ([A-Z][A-Z_]+) ", "".join(helps.values()), re.MULTILINE))
    settings |= set(re.findall(r"or ([A-Z_]+_FILE) names", "".join(helps.values())))
    known = (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8")
    metrics = set(re.findall(r"^\| `(meterline_\w+)`", known, re.MULTILINE))
    servers = {row.name for row in line.sql("SELECT name FROM pg_settings")}
    roles = set(re.findall(r"\b(meterline_[a-z]+)\b", (ROOT / "deploy/migrations/0006_access.sql").read_text()))
    for code in (code for code in page.code if "…" not in code):
        for name in re.findall(r"(?<![\w./-])[A-Z][A-Z0-9]*_[A-Z0-9_]*[A-Z0-9]\b", code):
            assert name in settings | words, f"{page.name}: {code}"
        for name in re.findall(r"(?<![\w./])meterline_\w+", code):
            assert re.sub("_(bucket|sum|count)$", "", name) in metrics | roles | words, f"{page.name}: {code}"
        for name in re.findall(r"(?<![\w./=-])[a-z]+(?:_[a-z]+)+\b(?![./*])", code):
            assert name in words | servers or shutil.which(name) or re.match(FOREIGN, name), f"{page.name}: {code}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_and_folders_that_are_named_exist(page):
    tops = {entry.name for entry in ROOT.iterdir() if entry.is_dir()} - {"build"}
    for code in page.code:
        for name in re.findall(r"^[\w.-]+/[\w./-]*$", code):
            if name.split("/")[0] in tops and name not in MADE and "NNNN" not in name:
                assert (ROOT / name).exists(), f"{page.name}: {name}"


def test_who_is_said_to_run_blocks_reads_them():
    code = " ".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("*.py"))
    for runner in {block.mark.removeprefix("run by: ") for block in BLOCKS if block.mark.startswith("run by: ")}:
        assert runner.endswith(".yml") or f'blocks_for("{runner}")' in code, runner


# What is made of the code.

def test_the_example_of_the_environment_is_current():
    made = subprocess.run([ROOT / "deploy" / "make_env_example", program("meterctl").parent], capture_output=True, text=True,
                          check=True).stdout
    assert made == (ROOT / "deploy" / "env.example").read_text(encoding="utf-8"), "run `make docs` and commit it"


@pytest.mark.parametrize("stage", [*STAGES, "meterctl"])
def test_each_program_takes_the_example(stage, folder, line):
    """All of it at once, with what is commented out, but addresses of which each stage has its own."""
    env = {}
    for setting in re.findall(r"^#?([A-Z_]+=.+)$", (ROOT / "deploy" / "env.example").read_text(encoding="utf-8"), re.MULTILINE):
        name, _, value = setting.partition("=")
        if value.startswith("/run/secrets/"):
            secret = folder / name
            secret.write_text({"DATABASE_URL_FILE": line.postgres.url, "STRIPE_SECRET_KEY_FILE": "sk_test_1",
                               "STRIPE_WEBHOOK_SECRET_FILE": "whsec_1"}[name] + "\n", encoding="utf-8")
            value = str(secret)
        env[name] = value
    del env["OPS_LISTEN"]
    done = subprocess.run([program(stage), "--print-config"], capture_output=True, text=True, check=False,
                          env={**clean_env(), **env})
    assert done.returncode == 0, done.stderr
