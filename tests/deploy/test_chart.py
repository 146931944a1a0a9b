"""The Helm chart, rendered by Helm: valid objects, restricted pods, a network where only the treasury reaches the key, and values that are checked."""

import copy
from typing import Any

import kubernetes_validate
import pytest
import yaml

from tests.support.helm_chart import DIGEST, VALUES, lint_errors, refusal, rendered
from tests.support.paths import ROOT

SMALLEST: dict[str, Any] = {"image": {"digest": DIGEST}}
OF_OPERATORS = {"PodMonitor", "PrometheusRule", "ScaledObject"}
"""Kinds of objects that Kubernetes itself does not know."""


def _objects(kind: str, values: dict[str, Any] = VALUES) -> dict[str, Any]:
    return {item["metadata"]["name"]: item for item in rendered(values) if item["kind"] == kind}


@pytest.mark.parametrize("values", [SMALLEST, VALUES], ids=["smallest", "everything"])
def test_kubernetes_accepts_every_object(values: dict[str, Any]) -> None:
    items = rendered(values)
    assert len(items) > 10
    for item in items:
        if item["kind"] not in OF_OPERATORS:
            kubernetes_validate.validate(item, "1.34", strict=True)
    assert lint_errors(values) == []


def test_a_misspelt_field_would_be_noticed() -> None:
    item = copy.deepcopy(_objects("Deployment")["shop-api"])
    item["spec"]["template"]["spec"]["containers"][0]["readinesProbe"] = {}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(item, "1.34", strict=True)


@pytest.mark.parametrize(
    ("values", "named"),
    [
        ({}, "digest"),
        ({"image": {"digest": "latest"}}, "digest"),
        ({**SMALLEST, "settings": {"CHAIN_IDD": 31612}}, "CHAIN_IDD"),
        ({**SMALLEST, "settings": {"STRIPE_SECRET_KEY": "sk_live_1"}}, "STRIPE_SECRET_KEY"),
        ({**SMALLEST, "settings": {"AWS_KMS_KEY_ID": "alias/k"}}, "AWS_KMS_KEY_ID"),
        ({**SMALLEST, "api": {"replicas": 0}}, "replicas"),
        ({**SMALLEST, "tresury": {}}, "tresury"),
    ],
)
def test_helm_refuses_values_that_would_not_do_what_they_say(values: dict[str, Any], named: str) -> None:
    assert named in refusal(values)


def test_pods_are_restricted_as_the_pod_security_standard_says() -> None:
    pods = [item["spec"] for item in rendered(VALUES) if item["kind"] == "Pod"]
    pods += [item["spec"]["template"]["spec"] for item in rendered(VALUES) if "template" in item.get("spec", {})]
    assert len(pods) == 5
    for pod in pods:
        assert pod["automountServiceAccountToken"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for container in pod["containers"]:
            context = {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert container["securityContext"] == context
            assert container["resources"]["limits"]["memory"]


def test_only_the_treasurys_account_carries_the_permission_for_the_key() -> None:
    annotated = {name for name, item in _objects("ServiceAccount").items() if item["metadata"].get("annotations")}
    assert annotated == {"shop-treasury"}


def test_nothing_is_reached_that_no_policy_allows_and_credentials_by_the_treasury_alone() -> None:
    policies = _objects("NetworkPolicy")
    deny = policies["shop-deny"]["spec"]
    assert deny["policyTypes"] == ["Ingress", "Egress"] and "egress" not in deny and "ingress" not in deny
    for_all = yaml.safe_dump(policies["shop-egress"]["spec"]["egress"])
    assert "169.254.0.0/16" in for_all and "169.254.169.254" not in for_all
    credentials = [name for name, item in policies.items() if "169.254.169.254/32" in yaml.safe_dump(item)]
    assert credentials == ["shop-treasury"]
    (expression,) = policies["shop-treasury"]["spec"]["podSelector"]["matchExpressions"]
    assert expression["values"] == ["treasury", "doctor"]
    ports = [
        rule["port"] for name in ("shop-api", "shop-workers") for rule in policies[name]["spec"]["ingress"][0]["ports"]
    ]
    assert ports == [3001, 9100]


def test_a_drain_or_a_deployment_leaves_one_of_each() -> None:
    budgets = _objects("PodDisruptionBudget")
    deployments = _objects("Deployment")
    assert budgets.keys() == deployments.keys() == {"shop-api", "shop-worker", "shop-treasury"}
    for name, item in deployments.items():
        assert item["spec"]["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
        assert budgets[name]["spec"]["selector"]["matchLabels"] == item["spec"]["selector"]["matchLabels"]
        labels = item["spec"]["template"]["metadata"]["labels"]
        assert item["spec"]["selector"]["matchLabels"].items() <= labels.items()


def test_the_console_has_a_port_and_a_service_of_its_own_that_the_ingress_does_not_lead_to() -> None:
    service = _objects("Service")["shop-console"]["spec"]
    (container,) = _objects("Deployment")["shop-api"]["spec"]["template"]["spec"]["containers"]
    assert {port["name"]: port["containerPort"] for port in container["ports"]} == {"http": 3001, "console": 3100}
    assert service["ports"] == [{"name": "console", "port": 80, "targetPort": "console"}]
    assert "console" not in yaml.safe_dump(_objects("Ingress"))
    public, private = _objects("NetworkPolicy")["shop-api"]["spec"]["ingress"]
    assert ([port["port"] for port in public["ports"]], [port["port"] for port in private["ports"]]) == ([3001], [3100])
    assert "vpn" in yaml.safe_dump(private) and "vpn" not in yaml.safe_dump(public)
    assert "shop-console" not in _objects("Service", SMALLEST)


def test_autoscalers_own_the_number_of_what_they_scale_and_never_scale_the_treasury() -> None:
    scaled = [
        item["spec"]["scaleTargetRef"]["name"]
        for kind in ("HorizontalPodAutoscaler", "ScaledObject")
        for item in _objects(kind).values()
    ]
    assert scaled == ["shop-api", "shop-worker"]
    without = {name for name, item in _objects("Deployment").items() if "replicas" not in item["spec"]}
    assert without == set(scaled)


def test_the_alert_rules_and_dashboards_are_those_of_the_monitoring_folder() -> None:
    rules = {name.removeprefix("shop-"): item["spec"] for name, item in _objects("PrometheusRule").items()}
    folder = ROOT / "deploy/monitoring"
    assert rules == {
        path.stem: yaml.safe_load(path.read_text()) for path in (folder / "prometheus/rules").glob("*.yml")
    }
    boards = {
        key: value
        for item in _objects("ConfigMap").values()
        for key, value in item["data"].items()
        if key.endswith(".json")
    }
    assert boards == {path.name: path.read_text() for path in (folder / "grafana/dashboards").glob("*.json")}


def test_a_changed_policy_restarts_the_pods() -> None:
    before, after = (
        _objects("Deployment", {**VALUES, "policy": policy})["shop-treasury"]["spec"]["template"]["metadata"][
            "annotations"
        ]
        for policy in ("a", "b")
    )
    assert before["checksum/policy"] != after["checksum/policy"]
