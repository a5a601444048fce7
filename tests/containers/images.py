"""The images of deploy/Containerfile, and stand-ins for those of servers."""

import json
import re
import shutil

from engine import BASE, FOLDER, IMAGES, ROOT, SERVERS, STORAGE, Failed, run

BEYOND_BASE_MAX_MB = 120
SOURCE = "https://example.com/meterline"
AGAIN = FOLDER / "again"


def build():
    if run("podman", "images", "-q", BASE).strip() == "":
        tar = FOLDER / "base.tar"
        run("mmdebstrap", "--variant=minbase", "--include=ca-certificates", "bookworm", tar)
        run("podman", "import", tar, BASE)
        tar.unlink()
    print(run("deploy/build_images", netns="host", CONTAINER="podman", BASE=BASE, SOURCE=SOURCE), end="", flush=True)
    for server in SERVERS:
        run("podman", "build", "--quiet", "--pull=never", "--format=docker", "--build-arg", f"BASE={BASE}",
            f"--target={server}", "--tag", f"standin/{server}", "tests/containers", netns="host")


def inspect(image, **env):
    return json.loads(run("podman", "image", "inspect", image, **env))[0]


def check():
    """Small, labelled, of a numeric user, and nothing of what builds or tests them inside."""
    base = inspect(BASE)["Size"]
    version = re.search('METERLINE_VERSION "(.*)"', (ROOT / "common" / "contract.h").read_text(encoding="utf-8"))[1]
    revision = run("git", "describe", "--always", "--dirty", "--exclude", "*").strip()
    for image in IMAGES:
        found = inspect(f"meterline/{image}:{version}")
        assert found["Id"] == inspect(f"meterline/{image}:latest")["Id"], image
        assert found["Size"] - base < BEYOND_BASE_MAX_MB * 1e6, f"{image}: {found['Size']} bytes, the base has {base}"
        labels = {label.rpartition(".")[2]: value for label, value in found["Labels"].items()}
        assert labels["version"] == version and labels["revision"] == revision, labels
        assert labels["licenses"] == "Apache-2.0" and labels["source"] == SOURCE, labels
        assert found["User"] == "10001:10001", image
        files = files_of(image)
        foreign = re.compile(r"/src/|/tests/|(?!/usr/share/doc/).*(\.[cho]|/cc|/gcc)$")
        assert not list(filter(foreign.match, files)), list(filter(foreign.match, files))
        programs = [path for path in files if path.startswith("/usr/local/bin/")]
        assert len(programs) == (5 if image == "all" else 1), programs
        # What is on PATH but the program itself is hidden: it needs no shell.
        for program in programs:
            told = run("podman", "run", "--rm", "--read-only", "--cap-drop=ALL", "--tmpfs=/usr/bin", "--tmpfs=/usr/sbin",
                       f"--entrypoint={program}", f"meterline/{image}", "--version", netns="host")
            assert told.strip().endswith(version), told


def files_of(image):
    """What our layers brought: all files less those of the base."""
    listing = [set(run("podman", "run", "--rm", "--user=0", "--entrypoint=find", each, "/", "-xdev", "-type", "f",
                       netns="host").splitlines()) for each in (f"meterline/{image}", BASE)]
    return {path for path in listing[0] - listing[1] if not path.startswith(("/proc/", "/sys/", "/dev/", "/run/"))}


def check_that_a_second_build_is_the_same():
    """In a storage of its own, so that nothing of the first is taken."""
    shutil.rmtree(AGAIN, ignore_errors=True)
    AGAIN.mkdir()
    storage = AGAIN / "storage.conf"
    storage.write_text(STORAGE.format(folder=AGAIN), encoding="ascii")
    other = {"netns": "host", "CONTAINERS_STORAGE_CONF": str(storage)}
    try:
        run("podman", "save", "--quiet", "--output", AGAIN / "base.tar", BASE, netns="host")
        run("podman", "load", "--quiet", "--input", AGAIN / "base.tar", **other)
        run("deploy/build_images", *IMAGES, CONTAINER="podman", BASE=BASE, SOURCE=SOURCE, **other)
        for image in IMAGES:
            layers = [inspect(f"meterline/{image}", **env)["RootFS"]["Layers"] for env in ({}, other)]
            if layers[0] != layers[1]:
                raise Failed(f"two builds of {image} differ: {layers}")
        print(f"a second build of {len(IMAGES)} images, from nothing, has the same digests", flush=True)
    finally:
        shutil.rmtree(AGAIN, ignore_errors=True)
