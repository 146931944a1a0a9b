"""The checks behind /ready and /health, for the parts that this process has."""

from collections.abc import Collection

from kit.heartbeats.writer import HeartbeatWriter
from kit.worker import WorkerRunner
from onramp.bootstrap.container import Container
from onramp.bootstrap.workers import TELLING, expected_workers
from onramp.ops import readiness_checks
from onramp.ops.health import Check, Health
from onramp.ops.liveness import Liveness
from onramp.webhooks.intake import Intake


def make_health(
    container: Container, runner: WorkerRunner | None, workers: Collection[str], pulse: HeartbeatWriter, intake: Intake
) -> Health:
    """Create the health monitor. `runner` and `workers` are those of this process."""
    vital = _vital(container, runner, workers, pulse)
    minor = _minor(container, runner, pulse, intake)
    table = {name: (check, True) for name, check in vital.items()} | {
        name: (check, False) for name, check in minor.items()
    }
    return Health(table, container.clock, cheap={"inventory"}, hidden={"pause"})


def _vital(
    container: Container, runner: WorkerRunner | None, workers: Collection[str], pulse: HeartbeatWriter
) -> dict[str, Check]:
    """Return the checks that have to pass before anything is sold."""
    database, rules = container.database, container.rules
    return {
        "database": readiness_checks.database_check(database, pulse),
        "migrations": readiness_checks.migrations_check(database),
        "chain": readiness_checks.chain_check(
            container.pool, watching=runner is not None, database=database, chain_id=rules.chain_id
        ),
        "stripe": readiness_checks.stripe_check(container.stripe),
        # If the treasury runs in a process of its own, this one needs no right to sign and does not use the signer.
        "signer": readiness_checks.signer_check(container.signer if "treasury" in workers else None),
        "inventory": readiness_checks.inventory_check(database, rules, container.clock),
        "workers": Liveness(
            database,
            expected_workers(container),
            container.clock,
            container.registry,
            container.alarms,
            telling=TELLING,
        ).check,
    }


def _minor(
    container: Container, runner: WorkerRunner | None, pulse: HeartbeatWriter, intake: Intake
) -> dict[str, Check]:
    """Return the checks that report a degraded service."""
    database = container.database
    return {
        "backlog": readiness_checks.backlog_check(database, container.clock, runner),
        "deployment": readiness_checks.deployment_check(database),
        "webhooks": readiness_checks.webhooks_check(intake),
        "clock": readiness_checks.clock_check(pulse),
        **({"replica": readiness_checks.replica_check(database, container.registry)} if database.has_replica else {}),
        "pause": readiness_checks.pause_check(database),
    }
