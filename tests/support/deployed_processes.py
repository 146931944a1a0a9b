"""Every process that a deployment file starts, whichever platform the file is for, in one form that tests can compare with the code."""

import json
import shlex
import tomllib
from dataclasses import dataclass, field
from typing import Any, Final

import yaml

from tests.support.helm_chart import VALUES, rendered
from tests.support.paths import ROOT

DEPLOY: Final = ROOT / "deploy"
CLOUD_RUN: Final = ("service", "worker", "treasury", "migrate")


@dataclass(frozen=True)
class Probe:
    """A question that the platform asks over HTTP; `kind` is liveness, readiness or startup."""

    kind: str
    path: str
    port: int


@dataclass(frozen=True)
class Process:
    """One process. `None` means that the platform does not let a file say it, or that the image says it."""

    file: str
    name: str
    command: list[str]
    settings: dict[str, str] = field(default_factory=dict)
    """Settings that stand in the file, by name; a placeholder where the deployer has to fill in."""
    secrets: set[str] = field(default_factory=set)
    probes: list[Probe] = field(default_factory=list)
    image: str | None = None
    grace: float | None = None
    pre_stop: float = 0
    user: int | None = None
    read_only: bool | None = None
    writable: set[str] = field(default_factory=set)
    account: str | None = None

    def __str__(self) -> str:
        return f"{self.file}:{self.name}"


def everywhere() -> list[Process]:
    """Return the processes of all files."""
    return [*helm(), *cloud_run(), *compose(), *fly(), *railway()]


def _probes(container: dict[str, Any]) -> list[Probe]:
    named = {port["name"]: port["containerPort"] for port in container.get("ports", [])}
    found = []
    for kind in ("liveness", "readiness", "startup"):
        if (probe := container.get(f"{kind}Probe")) is not None:
            get = probe["httpGet"]
            found.append(Probe(kind, get["path"], int(named.get(get["port"], get["port"]))))
    return found


def _variables(container: dict[str, Any]) -> tuple[dict[str, str], set[str]]:
    env = container.get("env") or []
    return {item["name"]: item["value"] for item in env if "value" in item}, {
        item["name"] for item in env if "valueFrom" in item
    }


def helm() -> list[Process]:
    """Return the processes of the chart, hooks and tests included."""
    found = []
    for item in rendered(VALUES):
        pod = item["spec"] if item["kind"] == "Pod" else item.get("spec", {}).get("template", {}).get("spec")
        if pod is None:
            continue
        (container,) = pod["containers"]
        settings, secrets = _variables(container)
        mounts = {mount["mountPath"] for mount in container["volumeMounts"] if not mount.get("readOnly")}
        stop = container.get("lifecycle", {}).get("preStop", {}).get("exec", {}).get("command", ["sleep", "0"])
        found.append(
            Process(
                "deploy/helm", container["name"], container["args"], settings, secrets, _probes(container), container["image"],
                pod["terminationGracePeriodSeconds"], float(stop[1]), pod["securityContext"]["runAsUser"],
                container["securityContext"]["readOnlyRootFilesystem"], mounts, pod.get("serviceAccountName"),
            )
        )  # fmt: skip
    return found


def cloud_run() -> list[Process]:
    """Return the processes of Cloud Run, which ends them 10 s after SIGTERM and lets no file change that."""
    found = []
    for name in CLOUD_RUN:
        spec = yaml.safe_load((DEPLOY / "cloudrun" / f"{name}.yaml").read_text())["spec"]["template"]["spec"]
        spec = spec.get("template", {}).get("spec", spec)
        (container,) = spec["containers"]
        settings, secrets = _variables(container)
        found.append(
            Process(
                f"deploy/cloudrun/{name}.yaml", name, container["args"], settings, secrets, _probes(container),
                container["image"], account=spec["serviceAccountName"],
            )
        )  # fmt: skip
    return found


def compose() -> list[Process]:
    """Return the services of the compose file that run our image."""
    found = []
    for name, service in yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"].items():
        if not service["image"].startswith("${ONRAMP_IMAGE"):
            continue
        check = shlex.join(service.get("healthcheck", {}).get("test", []))
        probes = []
        if check:
            port, _, path = check.partition("127.0.0.1:")[2].partition("'")[0].partition("/")
            probes = [Probe("liveness", f"/{path}", int(port))]
        found.append(
            Process(
                "deploy/compose.yaml", name, service["command"], dict(service["environment"]), set(), probes,
                grace=float(service["stop_grace_period"].removesuffix("s")), user=int(service["user"].partition(":")[0]),
                read_only=service["read_only"], writable=set(service["tmpfs"]), account=",".join(service["env_file"]),
            )
        )  # fmt: skip
    return found


def fly() -> list[Process]:
    """Return the process groups of Fly, and the release command."""
    file = tomllib.loads((DEPLOY / "fly.toml").read_text())
    settings = {name: str(value) for name, value in file["env"].items()}
    probes: dict[str, list[Probe]] = {name: [] for name in file["processes"]}
    for check in file["http_service"]["checks"]:
        for name in file["http_service"]["processes"]:
            probes[name].append(Probe("readiness", check["path"], file["http_service"]["internal_port"]))
    for check in file["checks"].values():
        for name in check["processes"]:
            probes[name].append(Probe("liveness", check["path"], check["port"]))
    commands = {**file["processes"], "migrate": file["deploy"]["release_command"]}
    return [
        Process(
            "deploy/fly.toml",
            name,
            shlex.split(line),
            settings,
            set(),
            probes.get(name, []),
            grace=file["kill_timeout"],
        )
        for name, line in commands.items()
    ]


def railway() -> list[Process]:
    """Return the start commands of Railway's services, and what runs before each deployment."""
    found = []
    for path in ("railway.json", "railway.worker.json", "deploy/railway/worker.json", "deploy/railway/treasury.json"):
        deploy = json.loads((ROOT / path).read_text())["deploy"]
        check = deploy.get("healthcheckPath")
        # Railway sets PORT itself, and asks there.
        probes = [Probe("readiness", check, 3001)] if check else []
        found.append(
            Process(path, "start", shlex.split(deploy["startCommand"]), probes=probes, grace=deploy["drainingSeconds"])
        )
        (before,) = deploy["preDeployCommand"]
        found.append(Process(path, "before", shlex.split(before), grace=deploy["drainingSeconds"]))
    return found
