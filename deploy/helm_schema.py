"""The schema of the Helm chart's values: `deploy/helm/values.schema.json`, written by `make docs`.

Helm checks values against it before it renders anything, so a misspelt setting, a secret among the settings or a KMS key that the API
could read is refused with its name.
"""

import json
from typing import Any, Final, get_args

from pydantic import SecretStr

from onramp.config.settings import Settings

KEY_OF_THE_WALLET: Final = frozenset({"AWS_KMS_KEY_ID", "GCP_KMS_KEY_VERSION"})
"""Settings that only the treasury's processes get."""
NOT_SETTABLE: Final = KEY_OF_THE_WALLET | {
    "HOST", "PORT", "METRICS_PORT", "TREASURY_POLICY", "ONRAMP_REVISION", "HOT_WALLET_KEYSTORE", "GCP_KMS_ENDPOINT", "ONRAMP_API_KEY",
}  # fmt: skip
"""Settings that the chart or the image sets, and those that production refuses."""
_SCALAR: Final = {"type": ["string", "number", "boolean"]}


def is_secret(name: str) -> bool:
    """Return whether the setting holds a secret, and therefore belongs into a Secret."""
    annotation = Settings.model_fields[name].annotation
    return annotation is SecretStr or SecretStr in get_args(annotation)


def _object(properties: dict[str, Any], *required: str) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": False, "properties": properties, "required": list(required)}


def _process(**more: Any) -> dict[str, Any]:
    return _object({"replicas": {"type": "integer", "minimum": 1}, "resources": {"type": "object"}, **more}, "replicas")


def _network() -> dict[str, Any]:
    peers = {"type": "array", "items": {"type": "object"}}
    port = {"type": "integer", "minimum": 1, "maximum": 65535}
    one, many = (
        _object({"to": peers, "port": port}, "to", "port"),
        _object({"to": peers, "ports": {"type": "array", "items": port}}, "to", "ports"),
    )
    rules = {
        "ingressFrom": peers,
        "consoleFrom": peers,
        "metricsFrom": peers,
        "database": one,
        "redis": one,
        "internet": many,
        "credentials": many,
    }
    return _object({"enabled": {"type": "boolean"}, **rules})


def values_schema() -> str:
    """Return the JSON schema of the chart's values."""
    public = [name for name in Settings.model_fields if name not in NOT_SETTABLE and not is_secret(name)]
    text, flag, count, mapping = (
        {"type": "string"},
        {"type": "boolean"},
        {"type": "integer", "minimum": 1},
        {"type": "object"},
    )
    switch = _object({"enabled": flag, "labels": mapping})
    schema = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "Values of the chart onramp",
        **_object(
            {
                "global": mapping,
                "image": _object(
                    {
                        "repository": {"type": "string", "minLength": 1},
                        "digest": {"type": "string", "pattern": "^sha256:[0-9a-f]{64}$"},
                        "pullPolicy": {"enum": ["Always", "IfNotPresent", "Never"]},
                        "pullSecrets": {"type": "array", "items": text},
                    },
                    "repository",
                    "digest",
                ),
                "settings": _object(dict.fromkeys(public, _SCALAR)),
                "existingSecret": {"type": "string", "minLength": 1},
                "policy": text,
                "api": _process(autoscaling=_object({"enabled": flag, "maxReplicas": count, "targetCPU": count})),
                "worker": _process(
                    keda=_object({"enabled": flag, "maxReplicas": count, "prometheus": text, "backlogSeconds": count})
                ),
                "treasury": _process(
                    settings=_object(dict.fromkeys(sorted(KEY_OF_THE_WALLET), _SCALAR)),
                    existingSecret=text,
                    serviceAccount=_object({"annotations": mapping}),
                ),
                "migrate": _object({"enabled": flag, "deadlineSeconds": count, "existingSecret": text}),
                "ingress": _object(
                    {"enabled": flag, "className": text, "host": text, "tlsSecret": text, "annotations": mapping}
                ),
                "networkPolicy": _network(),
                "metrics": _object({"podMonitor": switch, "rules": switch, "dashboards": switch}),
                "extraVolumes": {"type": "array"},
                "extraVolumeMounts": {"type": "array"},
                "nodeSelector": mapping,
                "tolerations": {"type": "array"},
                "podAnnotations": mapping,
            },
            "image",
            "existingSecret",
        ),
    }
    return json.dumps(schema, indent=2) + "\n"
