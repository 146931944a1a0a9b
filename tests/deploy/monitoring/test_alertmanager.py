"""From a metric to a person: a real Prometheus and a real Alertmanager with the files of this folder, and five receivers on the loopback."""

import asyncio
import json
import shutil
import subprocess
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import ClientSession, web

from onramp.dev.chain.anvil import free_port
from onramp.dev.local.host import ROOT
from tests.support.fake_smtp import FakeSmtp, fake_smtp
from tests.support.prometheus import needs_prometheus

FOLDER = ROOT / "deploy/monitoring"
SHIPPED = FOLDER / "alertmanager/alertmanager.yml"


@needs_prometheus
@pytest.mark.parametrize(
    ("labels", "receiver"),
    [
        ("severity=page alertname=OnrampSigningStopped", "page"),
        ("severity=ticket alertname=OnrampNodeLags", "ticket"),
        ("severity=info alertname=OnrampAlarmTreasuryNonceStranded", "quiet"),
    ],
)
def test_the_shipped_routes_reach_whom_they_should(labels: str, receiver: str) -> None:
    command = [
        "amtool",
        "config",
        "routes",
        "test",
        f"--config.file={SHIPPED}",
        f"--verify.receivers={receiver}",
        *labels.split(),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@needs_prometheus
def test_alertmanager_accepts_the_shipped_configuration() -> None:
    done = subprocess.run(
        ["amtool", "check-config", str(SHIPPED)], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


class Street:
    """The values of metrics that Prometheus scrapes, and what each receiver was sent."""

    def __init__(self) -> None:
        self.metrics: dict[str, float] = {}
        self.received: dict[str, list[Any]] = defaultdict(list)
        self.smtp = FakeSmtp()
        self.changed = asyncio.Event()

    def app(self) -> web.Application:
        async def metrics(_request: web.Request) -> web.Response:
            return web.Response(text="".join(f"{name} {value}\n" for name, value in self.metrics.items()))

        async def take(request: web.Request) -> web.Response:
            self.received[request.match_info["name"]].append(json.loads(await request.read()))
            self.changed.set()
            return web.json_response(
                {"status": "success", "ok": True}, status=202 if "pagerduty" in request.path else 200
            )

        app = web.Application()
        app.router.add_get("/metrics", metrics)
        app.router.add_post("/{name}{tail:.*}", take)
        return app

    async def until(self, true: Callable[[], Any], seconds: float = 30) -> None:
        """Wait until `true()`; fail with what was received."""
        async with asyncio.timeout(seconds):
            while not true():
                self.changed.clear()
                try:
                    await asyncio.wait_for(self.changed.wait(), 0.2)
                except TimeoutError:
                    continue

    def of(self, name: str, words: str) -> list[Any]:
        """Return what this receiver was sent that contains `words`."""
        return [message for message in self.received[name] if words in json.dumps(message)]


def configured(folder: Path, url: str, smtp: str) -> Path:
    """Write the shipped configuration with receivers on the loopback, two more kinds of them, and short waits."""
    config = yaml.safe_load(SHIPPED.read_text())
    secrets = folder / "secrets"
    secrets.mkdir()
    (secrets / "slack_url").write_text(f"{url}/slack")
    (secrets / "pagerduty_key").write_text("a" * 32)
    config["global"] |= {
        "smtp_smarthost": smtp, "smtp_require_tls": False, "pagerduty_url": f"{url}/pagerduty", "slack_api_url_file": str(secrets / "slack_url"),
    }  # fmt: skip
    del config["global"]["smtp_auth_username"], config["global"]["smtp_auth_password_file"]
    config["route"] |= {"group_wait": "500ms", "group_interval": "1s"}
    for route in config["route"]["routes"]:
        route |= {"group_wait": "500ms"}
    by_name = {receiver["name"]: receiver for receiver in config["receivers"]}
    by_name["page"]["pagerduty_configs"][0]["routing_key_file"] = str(secrets / "pagerduty_key")
    by_name["page"]["discord_configs"] = [{"webhook_url": f"{url}/discord", "send_resolved": True}]
    by_name["page"]["webhook_configs"] = [{"url": f"{url}/webhook", "send_resolved": True}]
    path = folder / "alertmanager.yml"
    path.write_text(yaml.safe_dump(config))
    return path


async def start(stack: AsyncExitStack, ready: str, *command: str) -> None:
    """Run a program until the test ends; return once it answers."""
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
    )

    async def stop() -> None:
        process.terminate()
        await process.wait()

    stack.push_async_callback(stop)
    async with ClientSession() as http, asyncio.timeout(30):
        while True:
            assert process.returncode is None, f"{command[0]} ended"
            try:
                async with http.get(ready) as answer:
                    if answer.status == 200:
                        return
            except OSError:
                pass
            await asyncio.sleep(0.1)


@pytest.fixture
async def street(tmp_path: Path) -> AsyncIterator[Street]:
    street = Street()
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(fake_smtp(street.smtp))
        server = web.AppRunner(street.app())
        await server.setup()
        stack.push_async_callback(server.cleanup)
        port, alerts, prometheus = free_port(), free_port(), free_port()
        await web.TCPSite(server, "127.0.0.1", port).start()
        config = configured(
            tmp_path, f"http://127.0.0.1:{port}", street.smtp.url.rpartition("@")[2].removeprefix("smtp://")
        )
        await start(
            stack, f"http://127.0.0.1:{alerts}/-/ready", "prometheus-alertmanager", f"--config.file={config}", f"--storage.path={tmp_path}/am",
            f"--web.listen-address=127.0.0.1:{alerts}", "--cluster.listen-address=",
        )  # fmt: skip
        shutil.copytree(FOLDER / "prometheus/rules", tmp_path / "rules")
        scrape = yaml.safe_load((FOLDER / "prometheus/prometheus.yml").read_text())
        scrape["global"] |= {"scrape_interval": "500ms", "scrape_timeout": "500ms", "evaluation_interval": "500ms"}
        scrape["alerting"]["alertmanagers"][0]["static_configs"][0]["targets"] = [f"127.0.0.1:{alerts}"]
        scrape["scrape_configs"] = [{"job_name": "onramp-api", "static_configs": [{"targets": [f"127.0.0.1:{port}"]}]}]
        (tmp_path / "prometheus.yml").write_text(yaml.safe_dump(scrape))
        # Alerts fire at once here; the waits before they do are tested by promtool.
        for path in (tmp_path / "rules").glob("*.yml"):
            rules = yaml.safe_load(path.read_text())
            for rule in rules["groups"][0]["rules"]:
                if "alert" in rule:
                    rule["for"] = "0s"
            path.write_text(yaml.safe_dump(rules))
        street.metrics = {
            "treasury_leader": 1,
            'chain_node_up{node="alpha"}': 1,
            'chain_node_up{node="beta"}': 1,
            "chain_paused": 0,
        }
        await start(
            stack, f"http://127.0.0.1:{prometheus}/-/ready", "prometheus", f"--config.file={tmp_path}/prometheus.yml",
            f"--storage.tsdb.path={tmp_path}/tsdb", f"--web.listen-address=127.0.0.1:{prometheus}",
        )  # fmt: skip
        yield street


@needs_prometheus
async def test_an_alert_reaches_every_receiver_once_is_grouped_inhibited_and_resolved(street: Street) -> None:
    alarm = 'onramp_alarm_active{alarm="treasury.foreign_transaction"}'
    street.metrics |= {alarm: 1, 'chain_node_lag_blocks{node="alpha"}': 9, 'chain_node_lag_blocks{node="beta"}': 9}
    name = "OnrampAlarmTreasuryForeignTransaction"
    for receiver in ("slack", "pagerduty", "discord", "webhook"):
        await street.until(partial(street.of, receiver, name))
    [mail] = await street.smtp.wait_for(1)
    assert "OnrampNodeLags" in mail.message.as_string()
    [lags] = street.of("slack", "OnrampNodeLags")
    assert "node alpha is 9" in str(lags) and "node beta is 9" in str(lags), "two nodes are one message"
    [trigger] = street.of("pagerduty", name)
    assert trigger["event_action"] == "trigger"
    assert "onramp treasury pause" in trigger["payload"]["custom_details"]["action"]
    assert "runbook.md#a-foreign-transaction" in str(street.of("slack", name))

    street.metrics |= {"chain_paused": 1}
    await street.until(lambda: street.of("slack", "OnrampChainHalted"))
    street.metrics |= {"onramp_deliveries_overdue": 3, alarm: 0}
    await street.until(lambda: any(event["event_action"] == "resolve" for event in street.of("pagerduty", name)))
    [resolve] = [event for event in street.of("pagerduty", name) if event["event_action"] == "resolve"]
    assert resolve["dedup_key"] == trigger["dedup_key"]
    await street.until(lambda: any("RESOLVED" in str(message) for message in street.of("slack", name)))
    assert not street.of("slack", "OnrampBuyersWait"), "nobody can be paid while the chain stands still"
    street.metrics |= {"chain_paused": 0}
    await street.until(lambda: street.of("pagerduty", "OnrampBuyersWait"))
    assert len(street.of("discord", name)) == len(street.of("webhook", name)) == 2, "once raised, once resolved"
