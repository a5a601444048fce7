"""deploy/kubernetes/sandbox by `podman play kube`: the pods of the line count, and what was counted reaches Stripe's stand-in.

Podman 4.3 knows no Job, Service, NetworkPolicy or PodDisruptionBudget, opens the ports of all pods on the one host, and
makes of a probe by HTTP a command that needs curl in the container. So here a Job is a Pod, a Service another name in
the network, ports are left out, and probes are asked from the network, by the test. An init container of podman's is not tried again, so the Job comes when
PostgreSQL is there.
"""

import base64
import json

import yaml

import manifests
from engine import FOLDER, Failed, attempt, logs, run, until

OWN = "meterline-pods-"  # Before every name: what is of others is left alone.
NETWORK = f"{OWN}network"
EVENTS = 2000
OURS = {"meterline-aggregator": 9101, "meterline-sink": 9102, "meterline-webhookd": 9103, "meterline-notifier": 9105, "meterline-api": 9104,
        "meterline-emitter": 9100}


class Pods:
    def __init__(self, objects):
        self.objects = objects
        self.files = []

    def of_kind(self, kind):
        return [each for each in self.objects if each["kind"] == kind]

    def play(self, name, *documents, alias=None):
        file = FOLDER / f"pod-{name}.yaml"
        file.write_text(yaml.safe_dump_all(documents, sort_keys=False), encoding="utf-8")
        self.files.append(file)
        network = NETWORK if alias is None else f"{NETWORK}:alias={alias}"
        run("podman", "play", "kube", *(["--network", network] if alias else []), file)

    def start(self):
        self.stop()  # A run that was ended.
        run("podman", "network", "create", NETWORK)
        for secret in self.of_kind("Secret"):
            self.add_secret(secret)
        for deployment in self.of_kind("Deployment"):
            name = deployment["metadata"]["name"]
            self.play(name, *self.of_kind("ConfigMap"), with_podman(deployment), alias=name)
        until(lambda: attempt("podman", "exec", container("postgres"), "psql", "-Umeterline", "-dmeterline", "-c", "").returncode == 0,
              "PostgreSQL answers")
        self.play("migrate", pod_of(self.of_kind("Job")[0]), alias="migrate")

    def add_secret(self, secret):
        name = secret["metadata"]["name"] = OWN + secret["metadata"]["name"]
        if not run("podman", "--version").split()[-1].startswith("4.3."):
            self.play(name, secret)
            return
        # Podman 4.3 takes `data` as it is, not decoded.
        texts = {key: base64.b64decode(value).decode() for key, value in secret["data"].items()}
        file = FOLDER / "secret.yaml"
        file.write_text(yaml.safe_dump({**secret, "data": texts}), encoding="utf-8")
        run("podman", "secret", "create", name, file)
        file.unlink()

    def stop(self):
        for file in reversed(self.files):
            attempt("podman", "play", "kube", "--down", file)
        for kind in ("secret", "volume"):
            for name in run("podman", kind, "ls", "--format={{.Name}}").split():
                if name.startswith(OWN):
                    attempt("podman", kind, "rm", name)
        attempt("podman", "network", "rm", "--force", NETWORK)


def with_podman(owner):
    """A Deployment or Job as podman can run it here."""
    pod = owner["spec"]["template"]["spec"]
    owner["metadata"]["name"] = OWN + owner["metadata"]["name"]
    for each in pod["volumes"] + [mount for one in pod["containers"] + pod.get("initContainers", []) for mount in one["volumeMounts"]]:
        each["name"] = OWN + each["name"]
        if "secret" in each:
            each["secret"]["secretName"] = OWN + each["secret"]["secretName"]
            each["secret"]["optional"] = False  # The default, but podman 4.3 dies of it.
    for container in pod["containers"]:
        for field in ("livenessProbe", "readinessProbe", "ports"):
            container.pop(field, None)
        if container["name"] in ("redis", "postgres"):
            container["image"] = f"localhost/standin/{container['name']}:latest"
        if container["name"] == "usage":
            container["command"] += ["--limit", str(EVENTS)]
            container["env"] = [each if each["name"] != "WEBHOOK_URL" else
                                {**each, "value": "http://meterline-webhookd:8080/webhooks/stripe"} for each in container["env"]]
    return owner


def pod_of(job):
    template = with_podman(job)["spec"]["template"]
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {**template["metadata"], **job["metadata"]}, "spec": template["spec"]}


def container(name):
    """Of the first pod, where there are several."""
    return attempt("podman", "ps", "--all", "--format={{.Names}}", f"--filter=name=^{OWN}{name}-pod(-0)?-[a-z]+$").stdout.strip()


def answers(name, path):
    """By a pod beside it, as a kubelet asks."""
    return attempt("podman", "run", "--rm", "--net", NETWORK, "--entrypoint=python3", "meterline/sandbox", "-c",
                   f"import urllib.request; urllib.request.urlopen('http://{name}:{OURS[name]}{path}', timeout=5)").returncode == 0


def check():
    manifests.install()
    pods = Pods(manifests.sandbox())
    try:
        pods.start()
        for name in OURS:
            until(lambda name=name: answers(name, "/healthz") and answers(name, "/readyz"), f"{name} is ready")
            host = json.loads(run("podman", "inspect", container(name)))[0]
            assert host["HostConfig"]["ReadonlyRootfs"] and not host["EffectiveCaps"], name
        until(lambda: f"{EVENTS} events sent" in logs(container("usage")), "all events are sent")
        until(is_billed, "all is counted and sent")
    except Failed as error:
        told = "\n".join(f"--- {name}\n{logs(container(name), tail=5)}" for name in (*OURS, "usage", "sandbox"))
        raise Failed(f"{error}\n{told}") from None
    finally:
        pods.stop()
    print(f"podman play kube: {EVENTS} events are counted and sent by the pods of deploy/kubernetes/sandbox", flush=True)


def is_billed():
    counted = run("podman", "exec", container("postgres"), "psql", "-Umeterline", "-dmeterline", "-At", "-c",
                  "SELECT (SELECT sum(counted + rejected + duplicates) FROM stream_positions), "
                  "(SELECT count(*) FROM usage_unbilled WHERE reason = 'waiting')", check=False)
    return counted.strip() == f"{EVENTS}|0"
