"""Every secret may come from a file; a problem with one names the variable, and never shows its value."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from onramp.config import cleaning, secret_files
from onramp.config.loader import SettingsError, load, secret_names
from onramp.config.settings import Settings


def test_secrets_are_recognised_by_their_type() -> None:
    names = set(secret_names())
    assert {"STRIPE_SECRET_KEY", "STRIPE_WEBHOOK_SECRETS", "DATABASE_URL", "HOT_WALLET_PASSWORD", "DATA_KEYS"} <= names
    assert {"SPECTRUM_RPC_URLS", "ONRAMP_API_KEY", "METRICS_TOKEN", "JWT_SECRETS"} <= names
    assert not {"PORT", "STRIPE_PUBLISHABLE_KEY", "SANCTIONS_LIST"} & names


VALUES = {
    "DATABASE_URL": "postgresql://u:p@db/x", "DATABASE_REPLICA_URL": "postgresql://u:p@replica/x", "DATA_KEYS": "ab" * 32,
    "JWT_SECRETS": "cd" * 32, "MEZO_RPC_URLS": "http://127.0.0.1:9", "SPECTRUM_RPC_URLS": "http://127.0.0.1:9/secret",
    "MEZO_WS_URLS": "ws://127.0.0.1:9", "SENTRY_DSN": "https://key@sentry.test/7", "REDIS_URL": "redis://127.0.0.1:9/0",
    "STRIPE_SECRET_KEY": "sk_test_x", "STRIPE_WEBHOOK_SECRETS": "whsec_x", "SETTLEMENT_RPC_URLS": "http://127.0.0.1:9",
    "SMTP_URL": "smtp://u:p@mail.example", "NOTICE_URLS": "slack:https://hooks.slack.com/services/x", "HEARTBEAT_URL": "https://beats.example/x",
}  # fmt: skip


@pytest.mark.parametrize("name", secret_names())
def test_each_secret_is_read_from_its_file(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    value = VALUES.get(name, "a value")
    (tmp_path / "secret").write_text(value + "\n")
    monkeypatch.setenv(f"{name}_FILE", str(tmp_path / "secret"))
    monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MAIL_FROM", "orders@shop.example")
    found = getattr(load(), name)
    assert isinstance(found, SecretStr)
    assert found.get_secret_value() == value


def test_a_secret_twice_is_one_of_the_listed_problems(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "secret").write_text("marker-in-the-file")
    (tmp_path / "empty").write_text("\n")
    monkeypatch.setenv("STRIPE_SECRET_KEY", "sk_test_marker")
    monkeypatch.setenv("STRIPE_SECRET_KEY_FILE", str(tmp_path / "secret"))
    monkeypatch.setenv("METRICS_TOKEN_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("REDIS_URL_FILE", str(tmp_path / "empty"))
    monkeypatch.setenv("PORT", "not a port")
    with pytest.raises(SettingsError) as error:
        load()
    problems = error.value.problems
    assert [problem.partition(":")[0].split()[0] for problem in problems] == [
        "REDIS_URL_FILE", "METRICS_TOKEN_FILE", "STRIPE_SECRET_KEY", "PORT",
    ]  # fmt: skip
    assert "marker" not in str(problems)
    assert str(tmp_path) not in str(problems)
    monkeypatch.delenv("PORT")
    with pytest.raises(SettingsError, match="both set"):
        load()


def test_an_empty_variable_is_not_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "secret").write_text("from the file")
    monkeypatch.setenv("METRICS_TOKEN", "")
    monkeypatch.setenv("METRICS_TOKEN_FILE", str(tmp_path / "secret"))
    monkeypatch.setenv("REDIS_URL_FILE", "")
    settings = load()
    assert settings.METRICS_TOKEN.get_secret_value() == "from the file"
    assert Settings.model_fields["REDIS_URL"].default == settings.REDIS_URL


@given(st.binary(max_size=64))
def test_no_file_breaks_the_reading(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "any"
    path.write_bytes(data)
    values, problems = secret_files.read(["NAME"], {"NAME_FILE": str(path)})
    assert len(values) + len(problems) == 1
    if values:
        assert values["NAME"] == cleaning.cleaned(data.decode()) != ""
