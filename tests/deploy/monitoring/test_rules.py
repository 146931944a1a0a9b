"""The alert rules: every alert fires in one example and is silent in another, and says what to do where the runbook has it."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.monitoring import generate
from deploy.monitoring.rules import all_rules, groups
from onramp.alarms.catalog import ALARMS
from onramp.dev.local.host import ROOT
from tests.support.prometheus import needs_prometheus
from tests.support.rule_examples import EXAMPLES, Example

RULES = ROOT / "deploy/monitoring/prometheus/rules"
NAMES = {rule.alert: rule for rule in all_rules()}
ALARM_NAMES = [rule["alert"] for group in groups()["alarms"] for rule in group["rules"]]


def alarm_example(name: str) -> Example:
    return Example(
        {f'onramp_alarm_active{{alarm="{name}"}}': "0x30 1x60"},
        {f'onramp_alarm_active{{alarm="{name}"}}': "0x120", 'onramp_alarm_active{alarm="other"}': "1x120"},
    )


def cases(alert: str, example: Example) -> list[dict[str, Any]]:
    """Return promtool's tests of one alert."""
    firing = f'count(ALERTS{{alertname="{alert}",alertstate="firing"}})'
    made = []
    for series, samples in ((example.fires, [{"labels": "{}", "value": example.alerts}]), (example.silent, [])):
        made.append(
            {
                "interval": "1m",
                "input_series": [{"series": name, "values": values} for name, values in series.items()],
                "promql_expr_test": [{"expr": firing, "eval_time": example.after, "exp_samples": samples}],
            }
        )
    return made


def run_promtool(folder: Path, file: str, examples: dict[str, Example], evaluation: str) -> None:
    tests = [case for alert, example in examples.items() for case in cases(alert, example)]
    path = folder / f"{file}_test.yml"
    path.write_text(
        yaml.safe_dump({"rule_files": [str(RULES / f"{file}.yml")], "evaluation_interval": evaluation, "tests": tests})
    )
    done = subprocess.run(
        ["promtool", "test", "rules", str(path)], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_has_an_example() -> None:
    assert set(NAMES) - set(ALARM_NAMES) == {alert for file in EXAMPLES.values() for alert in file}


@needs_prometheus
@pytest.mark.parametrize("file", sorted(EXAMPLES))
def test_each_alert_fires_in_one_example_and_is_silent_in_another(tmp_path: Path, file: str) -> None:
    run_promtool(tmp_path, file, EXAMPLES[file], "15m" if file == "objectives" else "1m")


@needs_prometheus
def test_each_alarm_of_the_catalogue_fires_while_it_is_active(tmp_path: Path) -> None:
    assert len(ALARM_NAMES) == len(ALARMS)
    examples = {alert: alarm_example(alarm.name) for alert, alarm in zip(ALARM_NAMES, ALARMS, strict=True)}
    run_promtool(tmp_path, "alarms", examples, "15m")


@needs_prometheus
def test_prometheus_accepts_the_rules_and_its_configuration() -> None:
    for command in (
        ["promtool", "check", "rules", *map(str, sorted(RULES.glob("*.yml")))],
        ["promtool", "check", "config", "--syntax-only", str(RULES.parent / "prometheus.yml")],
    ):
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_files_are_what_the_generator_writes() -> None:
    assert {path.name: path.read_text() for path in RULES.glob("*.yml")} == {
        path.name: text for path, text in generate.files().items() if path.parent == RULES
    }


def test_each_alert_says_what_to_do_and_names_a_section_of_the_runbook() -> None:
    headings = re.findall(r"^#+ (.+)$", (ROOT / "docs/runbook.md").read_text(), re.MULTILINE)
    anchors = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
    assert len(NAMES) == len(all_rules()), "two alerts have the same name"
    for rule in NAMES.values():
        assert rule.anchor in anchors, f"{rule.alert}: the runbook has no section {rule.anchor}"
        assert rule.summary.endswith(".") and rule.action, rule.alert
