"""The commands that pages tell for containers: the blocks marked `run by: make test-containers`, as they stand there."""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from support.pages import blocks_for  # noqa: E402

# The images are there already, and who follows a log ends it.
PRELUDE = """make() {
    if [ "$1" = logs ]; then
        timeout --preserve-status --signal=INT 10 make "$@" | head -n 5
    else
        command make --old-file=images "$@"
    fi
}
"""


def run_pages(run, **settings):
    """run(*command, **env) raises if one fails."""
    blocks = blocks_for("make test-containers")
    for block in blocks:
        print(f"{block}: {'; '.join(block.commands)}", flush=True)
        run("bash", "-euc", PRELUDE + block.text, **settings)
    return len(blocks)
