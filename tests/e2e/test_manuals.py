"""Manual pages and bash completion, as the programs print them for `make install`."""

import os
import pty
import re
import select
import subprocess
import time

import pytest

from line import process
from line.stages import program

PAGES = {"meterctl": 1, "meterline-emitter": 1, "meterline-aggregator": 8, "meterline-sink": 8,
         "meterline-webhookd": 8, "meterline-notifier": 8, "meterline-api": 8}
DATED = {"SOURCE_DATE_EPOCH": "1795000000"}


def must(*command, **env):
    done = process.run(command, env=env)
    assert done.returncode == 0 and done.stderr == "", done.stderr
    return done.stdout


@pytest.fixture(params=[*PAGES, "meterline-emitter --daemon"])
def page(request, folder):
    name, *flags = request.param.split()
    path = folder / f"{name}.{8 if flags else PAGES[name]}"
    path.write_text(must(program(name), *flags, "--print-manual", **DATED), encoding="utf-8")
    return request.param, path


def rendered(path):
    text = must("man", "--warnings", "--no-hyphenation", "-E", "UTF-8", "-l", path, MANWIDTH="200", LC_ALL="C.UTF-8")
    return " ".join(re.sub("\x1b[^m]*m|.\x08", "", text).split())


def test_a_page_has_no_fault_and_says_all_that_help_says(page):
    (name, *flags), path = page[0].split(), page[1]
    must("mandoc", "-T", "lint", "-W", "warning", path)
    shown = rendered(path)
    assert "2026-11-18" in shown and f"{name} - " in shown
    help_text = must(program(name), *flags, "--help")
    said = re.findall(r"^ +(\S.*?)(?:  +|$)", help_text, re.MULTILINE)
    assert len(said) > 15
    for text in said:
        assert " ".join(text.replace("`", "").split()).rstrip(".") in shown, text


def test_the_page_of_meterctl_has_the_help_of_each_command(folder):
    path = folder / "meterctl.1"
    path.write_text(must(program("meterctl"), "--print-manual"), encoding="utf-8")
    shown = rendered(path)
    words = re.findall(r"^  meterctl ([a-z ]*[a-z])", must(program("meterctl"), "--help"), re.MULTILINE)
    assert len(words) > 25
    for command in words:
        for line in must(program("meterctl"), *command.split(), "--help").removeprefix("usage:").splitlines():
            said = re.sub(r"^ *- ", "", line)
            assert " ".join(said.replace("`", "").split()) in shown, (command, line)


# Completion.

@pytest.fixture
def script(folder):
    path = folder / "meterctl"
    path.write_text(must(program("meterctl"), "--print-completion"), encoding="utf-8")
    return path


def complete(script, *words, cwd="/"):
    """What bash offers for the last word."""
    line = "source $1; shift; COMP_WORDS=(\"$@\"); COMP_CWORD=$(($# - 1)); _meterctl; printf '%s\\n' \"${COMPREPLY[@]}\""
    done = process.run(["bash", "--norc", "-uc", line, "bash", script, "meterctl", *words], cwd=cwd)
    assert done.stderr == "", done.stderr
    return set(done.stdout.split())


@pytest.mark.parametrize("words, offers", [
    (["ca"], {"catalog"}), (["re"], {"rejected", "rebuild", "reconcile", "retention", "reshard", "restore"}),
    (["--v"], {"--version"}), (["rejected", ""], {"list", "show", "replay", "--help"}),
    (["quota", "set", "acme", "tokens", "--"], {"--limit", "--unlimited", "--cap", "--window", "--until", "--new", "--help"}),
    (["quota", "set", "--cap", ""], {"none", "soft", "hard"}), (["events", "--format", "n"], {"ndjson"}),
    (["events", "--format", "="], {"ndjson", "csv"}), (["events", "--format", "=", "c"], {"csv"}),
    (["events", "--tenant", ""], set()), (["migrate", ""], {"--dry-run", "--help"}),
    (["stream", "lost", "--y"], {"--yes"}), (["no", "such", ""], set()), (["fly", ""], set())])
def test_bash_completes_commands_options_and_values(script, words, offers):
    assert complete(script, *words) == offers


def test_every_command_and_option_of_the_help_is_offered(script):
    usages = re.findall(r"^  meterctl (.*)", must(program("meterctl"), "--help"), re.MULTILINE)
    for usage in usages:
        words = re.match(r"[a-z]+( [a-z]+)?", usage)[0].split()
        assert words[0] in complete(script, ""), usage
        assert len(words) == 1 or words[1] in complete(script, words[0], ""), usage
        options = set(re.findall(r"--[a-z-]+", usage)) | {"--help"}
        assert complete(script, *words, "--") == options, usage


def test_files_are_offered_where_a_command_takes_one(script, folder):
    (folder / "plans.json").touch()
    assert complete(script, "catalog", "apply", "pl", cwd=folder) == {"plans.json"}


def test_the_tab_key(script):
    """In an interactive bash, as a person has it."""
    ours, theirs = pty.openpty()
    shell = process.spawn(["bash", "--norc", "--noprofile", "-i"], env={"TERM": "dumb", "PS1": "> "},
                          stdin=theirs, stdout=theirs, stderr=subprocess.STDOUT)
    os.close(theirs)
    try:
        os.write(ours, f"source {script}\nmeterctl cat\tap\t".encode())
        read_until(ours, "meterctl catalog apply ")
    finally:
        shell.kill()
        shell.wait()
        os.close(ours)


def read_until(terminal, wanted, timeout=30):
    text, deadline = "", time.monotonic() + timeout
    while wanted not in text:
        left = deadline - time.monotonic()
        assert left > 0 and select.select([terminal], [], [], left)[0], text
        text += os.read(terminal, 65536).decode()
