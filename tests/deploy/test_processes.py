"""All deployment files agree with the code and with each other: commands, settings, probes, ports, users, time to stop, and who may sign."""

import tomllib

import pytest
import typer
import yaml

from deploy.helm_schema import KEY_OF_THE_WALLET, is_secret
from onramp.bootstrap.app import routes
from onramp.bootstrap.server import SERVE_ENDS_SECONDS, WORK_ENDS_SECONDS
from onramp.bootstrap.workers import WORKERS
from onramp.cli import app
from onramp.config.secret_files import SUFFIX
from onramp.config.settings import Settings
from onramp.config.validation import problems_of
from tests.support.deployed_processes import (
    CLOUD_RUN,
    DEPLOY,
    Process,
    cloud_run,
    compose,
    everywhere,
    fly,
    helm,
    railway,
)
from tests.support.helm_chart import DIGEST, VALUES, rendered
from tests.support.paths import ROOT
from tests.support.production import production_environment

PROCESSES = everywhere()
SAMPLES = {
    "SETTLEMENT_ADDRESS": "0x90F79bf6EB2c4f870365E785982E1f101E93b906",
    "HOT_WALLET_ADDRESS": "0x976EA74026E726554dB657fA54763abd0C3a0aa9",
    "SPECTRUM_RPC_URLS": "https://a.example/k,https://b.example/k",
    "DATABASE_URL": "postgresql://onramp@database/onramp",
}
"""Values of settings that files leave to the deployer."""
each = pytest.mark.parametrize("process", PROCESSES, ids=str)


def _serves(process: Process) -> bool:
    return process.command[1] == "serve"


def _works(process: Process) -> set[str]:
    """Return the workers that the process runs."""
    if process.command[1] != "work":
        return set()
    return set(process.command[3].split(",")) if "--only" in process.command else set(WORKERS)


@each
def test_the_command_line_accepts_every_command(process: Process) -> None:
    program, name, *arguments = process.command
    assert program == "onramp"
    context = typer.main.get_group(app).commands[name].make_context(name, arguments)
    if name == "serve":
        assert context.params["workers"] is False
    assert _works(process) <= set(WORKERS)


@pytest.mark.parametrize(
    "processes", [helm(), cloud_run(), compose(), fly()], ids=["helm", "cloudrun", "compose", "fly"]
)
def test_each_platform_runs_every_worker_once_and_the_treasury_apart(processes: list[Process]) -> None:
    kinds = [_works(process) for process in processes if _works(process)]
    assert sorted(name for kind in kinds for name in kind) == sorted(WORKERS)
    assert {"treasury"} in kinds
    assert len([process for process in processes if _serves(process)]) == 1


def test_railways_two_ways_run_every_worker_once() -> None:
    works = {process.file: _works(process) for process in railway() if _works(process)}
    assert works["railway.worker.json"] == set(WORKERS)
    assert works["deploy/railway/treasury.json"] == {"treasury"}
    assert works["deploy/railway/worker.json"] == set(WORKERS) - {"treasury"}


@each
def test_every_variable_is_a_setting_and_no_secret_stands_in_a_file(process: Process) -> None:
    for name in {*process.settings, *process.secrets}:
        known = name.removesuffix(SUFFIX) if name.endswith(SUFFIX) and is_secret(name.removesuffix(SUFFIX)) else name
        assert known in Settings.model_fields, name
    public = {name for name in process.settings if name in Settings.model_fields}
    assert not [name for name in public - {"REDIS_URL"} if is_secret(name)]  # compose's Redis has no password
    assert all(is_secret(name) for name in process.secrets)


@each
def test_probes_ask_routes_on_the_port_where_the_process_listens(process: Process) -> None:
    paths = {route.path for route in routes(Settings.model_construct())}
    port = int(process.settings.get("PORT", 3001)) if _serves(process) else int(process.settings.get("METRICS_PORT", 0))
    assert all(probe.path in paths and probe.port == port for probe in process.probes)
    # Liveness never depends on others: /ready would restart processes because a node is away. Workers answer /health alone.
    assert all(probe.path == "/health" for probe in process.probes if probe.kind == "liveness" or not _serves(process))
    assert all(probe.path == "/ready" for probe in process.probes if probe.kind == "readiness")


@pytest.mark.parametrize(
    "process",
    [
        p
        for p in PROCESSES
        if p.command[1] in {"serve", "work"} and not p.file.startswith("railway") and "railway/" not in p.file
    ],
    ids=str,
)
def test_every_process_that_stays_is_probed(process: Process) -> None:
    assert process.probes


@pytest.mark.parametrize("process", [p for p in PROCESSES if p.grace is not None], ids=str)
def test_processes_end_before_the_platform_kills_them(process: Process) -> None:
    assert process.grace is not None
    assert process.grace >= 25
    assert process.grace > process.pre_stop + (SERVE_ENDS_SECONDS if _serves(process) else WORK_ENDS_SECONDS)


@pytest.mark.parametrize("process", [p for p in PROCESSES if p.user is not None], ids=str)
def test_processes_run_as_the_images_user_and_write_only_to_tmp(process: Process) -> None:
    assert f"USER {process.user}:{process.user}\n" in (ROOT / "Dockerfile").read_text()
    assert (process.user, process.read_only, process.writable) == (10001, True, {"/tmp"})


@pytest.mark.parametrize("process", [p for p in PROCESSES if p.image is not None], ids=str)
def test_images_are_named_by_digest(process: Process) -> None:
    assert process.image is not None
    assert process.image.endswith((f"@{DIGEST}", "@DIGEST"))


@each
def test_only_the_treasury_can_sign(process: Process) -> None:
    key = KEY_OF_THE_WALLET & {*process.settings, *process.secrets}
    may_sign = _works(process) == {"treasury"} or process.name == "doctor"
    assert not key or may_sign
    if process.account is not None:
        assert ("treasury" in process.account) == may_sign


def test_the_migration_runs_once_before_everything_else() -> None:
    (job,) = [item for item in rendered(VALUES) if item["kind"] == "Job"]
    assert job["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade"
    assert tomllib.loads((DEPLOY / "fly.toml").read_text())["deploy"]["release_command"] == "onramp migrate"
    services = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"]
    for name in ("api", "worker", "treasury"):
        assert services[name]["depends_on"]["migrate"] == {"condition": "service_completed_successfully"}
    assert [p.command for p in railway() if p.name == "before"] == [["onramp", "migrate"]] * 4
    assert [p.command for p in cloud_run() if p.name == "migrate"] == [["onramp", "migrate"]]


@pytest.mark.parametrize("name", CLOUD_RUN)
def test_production_accepts_what_cloud_run_sets(name: str) -> None:
    (process,) = [process for process in cloud_run() if process.name == name]
    given = {*process.settings, *process.secrets}
    values = {**production_environment(""), **SAMPLES}
    filled = {key: process.settings[key] if key not in values else values[key] for key in given}
    settings = Settings.model_validate(
        {**filled, "ENVIRONMENT": "production", "DELIVERY_MODE": "payout", "CHAIN_ID": 31611}
    )
    assert problems_of(settings, to_run=True) == []
