"""The pages of the project as tests read them: headings, links, code, and blocks with their marks.

A mark is an HTML comment above a block, which readers do not see:

    <!-- run by: make test-containers -->   another test reads the block by blocks_for() and runs it
    <!-- run by: ci.yml -->                 each of its lines is a step of a workflow in .github/workflows
    <!-- dry run -->                        commands of make that take long: make -n goes through
    <!-- needs: a Stripe account -->        nothing here can run it
    <!-- as: postgres -->                   run by the user that PostgreSQL runs as
    <!-- shown soon -->                     a block that only looks: run again until it shows what stands below it
    <!-- figures vary -->                   of the text below a block of commands, digits are not compared
    <!-- an excerpt -->                     text that no command of this page prints
"""

import dataclasses
import re
import subprocess

from line.paths import ROOT

RUNNERS = ("make test-containers", "make test-deb", "ci.yml", "tests/e2e/test_addresses.py", "tests/e2e/test_posts.py")
NEEDS = ("a Stripe account", "a cluster", "an administrator")
COMMANDS = ("sh", "sql", "python")
LANGUAGES = (*COMMANDS, "c", "js", "text", "yaml", "json", "ini")


@dataclasses.dataclass
class Block:
    page: object
    line: int
    language: str
    text: str
    mark: str

    def __str__(self):
        return f"{self.page.name}:{self.line}"

    @property
    def commands(self):
        """Without comments; a line that goes on is one."""
        joined = self.text.replace("\\\n", " ")
        lines = [re.sub(r"(^|\s)#\s.*$", "", line).strip() for line in joined.splitlines()]
        return [re.sub(r"\s+", " ", line) for line in lines if line]


class Page:
    def __init__(self, path):
        self.path = path
        self.name = str(path.relative_to(ROOT))
        self.text = path.read_text(encoding="utf-8")
        self.blocks, self.prose = self._split()

    def _split(self):
        """Its blocks, and the text around them with as many lines."""
        blocks, prose, fence, begun, mark = [], [], None, 0, ""
        for number, line in enumerate(self.text.splitlines(), 1):
            found = re.match(r"\s*```(\w*)$", line)
            if found and fence is None:
                fence, begun, lines = found[1], number, []
            elif found:
                blocks.append(Block(self, begun, fence, "\n".join(lines) + "\n", mark))
                fence, mark = None, ""
            elif fence is not None:
                lines.append(line)
            elif comment := re.match(r"\s*<!-- (.*) -->$", line):
                mark = comment[1]
            elif line.strip():
                mark = ""
            prose.append(line if fence is None and not found else "")
        return blocks, "\n".join(prose)

    @property
    def code(self):
        """What stands in `…`."""
        return re.findall(r"`([^`\n]+)`", re.sub(r"\n(?=\S)", " ", self.prose))

    @property
    def anchors(self):
        """As GitHub makes them of headings."""
        seen, found = {}, set(re.findall(r'<a (?:id|name)="([^"]+)"', self.text))
        for heading in re.findall(r"^#+ (.*)$", self.prose, re.MULTILINE):
            plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
            anchor = re.sub(r"[^\w\- ]", "", plain).strip().replace(" ", "-")
            again = seen.setdefault(anchor, 0)
            seen[anchor] += 1
            found.add(f"{anchor}-{again}" if again else anchor)
        return found

    @property
    def links(self):
        """What [text](…) and <img src="…"> lead to."""
        return re.findall(r"\]\(([^)\s]+)\)", self.prose) + re.findall(r'(?:src|srcset|href)="([^"]+)"', self.prose)


def all_pages():
    """Those that are in the tree."""
    listed = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"], cwd=ROOT, text=True,
                            capture_output=True, check=False)
    names = listed.stdout.split() if listed.returncode == 0 else [
        str(path.relative_to(ROOT)) for path in ROOT.rglob("*.md") if "build" not in path.relative_to(ROOT).parts]
    return [Page(ROOT / name) for name in sorted(names) if (ROOT / name).exists()]


def blocks_for(runner):
    """The blocks that are marked as run by it, in the order of the pages."""
    return [block for page in all_pages() for block in page.blocks if block.mark == f"run by: {runner}"]
