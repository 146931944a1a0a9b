"""The Helm chart as Helm itself renders it."""

import functools
import json
import subprocess
import sys
from typing import Any, Final

import yaml

from tests.support.paths import ROOT

DIGEST: Final = "sha256:" + "5a" * 32
VALUES: Final[dict[str, Any]] = {
    "image": {"digest": DIGEST},
    "settings": {
        "CHAIN_ID": 31612,
        "HOT_WALLET_SIGNER": "aws-kms",
        "ALLOWED_ORIGINS": "https://shop.example",
        "CONSOLE": "on",
        "CONSOLE_PORT": 3100,
    },
    "policy": "[payouts]\nmax_per_day = '1000'\n",
    "worker": {"keda": {"enabled": True}},
    "treasury": {
        "settings": {"AWS_KMS_KEY_ID": "alias/hot-wallet"},
        "serviceAccount": {"annotations": {"eks.amazonaws.com/role-arn": "arn:aws:iam::1:role/onramp"}},
    },
    "networkPolicy": {"consoleFrom": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "vpn"}}}]},
    "ingress": {"enabled": True, "host": "pay.example", "tlsSecret": "tls"},
    "metrics": {name: {"enabled": True} for name in ("podMonitor", "rules", "dashboards")},
}
"""Values of an installation that uses every part of the chart."""
# In a process of its own: the library brings the Go runtime along.
_RENDER: Final = """
import json, sys, helm_python
values = json.load(sys.stdin)
try:
    with helm_python.Chart.load("deploy/helm") as chart:
        files = chart.render(values, name="shop", namespace="prod")
    print(json.dumps({"files": files, "lint": helm_python.lint("deploy/helm", values=values)}))
except helm_python.HelmError as error:
    print(json.dumps({"error": str(error)}))
"""


@functools.cache
def _answer(values: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-c", _RENDER], input=values, capture_output=True, text=True, cwd=ROOT, timeout=60, check=True
    )
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def refusal(values: dict[str, Any]) -> str:
    """Return why Helm refuses these values; empty if it does not."""
    return str(_answer(json.dumps(values)).get("error", ""))


def lint_errors(values: dict[str, Any]) -> list[Any]:
    """Return the errors of `helm lint`; warnings and advice are left out."""
    found = _answer(json.dumps(values))["lint"]
    return [*found["errors"], *(message for message in found["messages"] if message["severity"] > 1)]


def rendered(values: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the objects that the chart creates with these values. They are shared: do not change them."""
    return _parsed(json.dumps(values))


@functools.cache
def _parsed(values: str) -> list[dict[str, Any]]:
    answer = _answer(values)
    assert "error" not in answer, answer["error"]
    texts = [text for name, text in sorted(answer["files"].items()) if name.endswith(".yaml")]
    return [item for text in texts for item in yaml.load_all(text, yaml.CSafeLoader) if item]
