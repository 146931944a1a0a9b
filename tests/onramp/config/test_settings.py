"""Problems of the environment stop the start, in development too: all are listed at once, by name and without values."""

import json
import os
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from onramp.config import cleaning as environment
from onramp.config.loader import SettingsError, load, secret_names
from onramp.config.settings import Settings
from tests.support.command_line import run_onramp

ADDRESS = "0x90F79bf6EB2c4f870365E785982E1f101E93b906"
WRONG = (
    ("HOST", ""), ("HOST", "two words"), ("PORT", "http"), ("PORT", "65536"), ("ENVIRONMENT", "live"), ("DATABASE_URL", ""),
    ("REDIS_URL", "marker"), ("REDIS_URL", "redis://"), ("REDIS_URL", "redis://h:marker"), ("REDIS_URL", "redis://h:1/0?family=marker"), ("REDIS_URL", "redis://h:1/marker"),
    ("REDIS_URL", "redis://h:1?ssl_cert_reqs=marker"), ("REDIS_URL", "redis://h:1?socket_timeout=marker"),
    ("STRIPE_SECRET_KEY", "pk_test_marker"), ("STRIPE_PUBLISHABLE_KEY", "sk_test_marker"), ("STRIPE_WEBHOOK_SECRETS", "whsec_1,marker"),
    ("STRIPE_WEBHOOK_SECRETS", "whsec_"), ("STRIPE_API_BASE", "marker"), ("STRIPE_API_BASE", ""), ("STRIPE_VERSION", "marker"),
    ("STRIPE_DESTINATION_NETWORK", "Marker!"), ("STRIPE_DESTINATION_CURRENCY", "eth"), ("STRIPE_WEBHOOK_ADDRESSES", "marker"),
    ("CHAIN_ID", "5"), ("MEZO_RPC_URLS", "marker"), ("SPECTRUM_RPC_URLS", "ftp://marker"), ("MEZO_WS_URLS", "http://marker"),
    ("CHAIN_AGREEMENT", "0"), ("CHAIN_NODES_FILE", "/nowhere/marker"), ("MUSD_TOKEN_ADDRESS", "0xmarker"),
    ("SETTLEMENT_ADDRESS", "0xmarker"), ("SETTLEMENT_ADDRESS", "0x" + "0" * 40), ("DELIVERY_SENDERS", "0xmarker"),
    ("PAYOUT_FEE_BPS", "10000"), ("SESSION_MIN_AMOUNT", "1.001"), ("SESSION_MAX_AMOUNT", "marker"),
    ("SESSION_TTL_MINUTES", "9" * 18), ("DELIVERY_OVERDUE_MINUTES", "0"),
    ("HOT_WALLET_SIGNER", "marker"), ("HOT_WALLET_ADDRESS", "0xmarker"), ("GCP_KMS_KEY_VERSION", "marker"),
    ("GCP_KMS_ENDPOINT", "marker"), ("COLD_SAFE_ADDRESS", "0xmarker"), ("COLD_SAFE_OWNERS", "0xmarker"), ("COLD_SAFE_THRESHOLD", "0"),
    ("ALLOWED_ORIGINS", "https://"), ("ALLOWED_ORIGINS", "https://a.test/marker"), ("METRICS_TOKEN", "маркер"),
    ("SUPPORT_EMAIL", "marker"), ("MERCHANT_NAME", "marker\udce9"), ("MERCHANT_ADDRESS", "marker\t1"), ("TRUSTED_PROXIES", "10.1.2.3/8"), ("RATE_LIMIT_CREATE", "0/minute"),
    ("SMTP_URL", "smtp://marker@h"), ("SMTP_URL", "smtps://u:marker@h/x"), ("SMTP_URL", "http://h"), ("MAIL_FROM", "marker"), ("MAIL_FROM", "S <marker>"),
    ("SANCTIONS_ORACLE", "0xmarker"), ("LOG_LEVEL", "marker"), ("LOG_FORMAT", "marker"), ("ONRAMP_API_URL", "marker"),
)  # fmt: skip


@pytest.mark.parametrize(("name", "value"), WRONG, ids=[f"{name}-{place}" for place, (name, _) in enumerate(WRONG)])
def test_a_wrong_value_is_one_line_with_its_name(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError) as refused:
        load()
    (problem,) = refused.value.problems
    assert problem.startswith(name) and "\n" not in problem
    assert "marker" not in problem.lower() and "маркер" not in problem and "10.1.2.3" not in problem


BOM, NBSP = "\ufeff", "\u00a0"
secret_values = {
    "SETTLEMENT_RPC_URLS": "http://127.0.0.1:9/usdc", "SMTP_URL": "smtp://u:p@mail.example:587",
    "DATABASE_REPLICA_URL": "postgresql://u:p@replica/x", "DATA_KEYS": "ab" * 32, "JWT_SECRETS": "cd" * 32,
    "NOTICE_URLS": "slack:https://hooks.slack.com/services/T/B/X", "HEARTBEAT_URL": "https://hc.example/ping/x",
    "SPECTRUM_RPC_URLS": "http://127.0.0.1:9/secret", "MEZO_WS_URLS": "ws://127.0.0.1:9", "STRIPE_WEBHOOK_SECRETS": "whsec_x",
}  # fmt: skip
AROUND = (
    "{}\r", "{}\n", " {} ", "\t{}", "{}" + NBSP, BOM + "{}", '"{}"', "'{}'", ' "{}"\r\n', BOM + '" {} "', "{}\u200b",
)  # fmt: skip
VALUES = {
    "PORT": "4000", "ENVIRONMENT": "production", "DATABASE_URL": "postgresql://u:p@h/onramp", "REDIS_URL": "redis://h:6379/0",
    "METRICS_TOKEN": "t" * 20, "AWS_KMS_KEY_ID": "alias/onramp", "SANCTIONS_LIST": "list.txt", "TREASURY_POLICY": "policy.toml",
    "STRIPE_SECRET_KEY": "sk_test_x", "ALLOWED_ORIGINS": "https://a.example", "CHECKOUT_PAGE": "true", "LOG_FORMAT": "text",
    "CHAIN_ID": "31612", "MEZO_RPC_URLS": "a=http://127.0.0.1:1", "HOST": "127.0.0.1", "COLD_SAFE_ADDRESS": ADDRESS,
    "RATE_LIMIT_CREATE": "5/minute", "SUPPORT_EMAIL": "a@b.example", "SENTRY_DSN": "https://key@sentry.test/7",
}  # fmt: skip


def shown(value: object) -> object:
    return value.get_secret_value() if isinstance(value, SecretStr) else value


@pytest.mark.parametrize("name", VALUES)
def test_quotes_and_spaces_around_a_value_are_removed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for around in ("{}", *AROUND):
        monkeypatch.setenv(name, around.format(VALUES[name]))
        assert str(shown(getattr(read_alone(), name))).lower() == VALUES[name].lower(), repr(around)


def read_alone() -> Settings:
    """Return the settings without the validation across variables."""
    values, problems = environment.read(Settings.model_fields, os.environ)
    assert problems == []
    given: dict[str, Any] = dict(values)
    return Settings(**given)


@pytest.mark.parametrize("name", [name for name in secret_names() if name != "HOT_WALLET_PASSWORD"])
def test_a_secrets_file_is_read_the_same_way(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    value = VALUES.get(name) or secret_values.get(name, "x" * 20)
    monkeypatch.setenv(f"{name}_FILE", f' "{tmp_path / "secret"}"')
    monkeypatch.setenv("MAIL_FROM", "orders@shop.example")
    for around in AROUND:
        (tmp_path / "secret").write_text(around.format(value), newline="")
        assert shown(getattr(load(), name)) == value, repr(around)


@pytest.mark.parametrize(
    "text", ["secret ", " secret", "secret\n", '"secret"', "'secret'", "secret" + NBSP, BOM + "secret"]
)
def test_a_password_that_could_be_meant_so_is_refused_and_taken_from_a_file(
    text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOT_WALLET_PASSWORD", text)
    with pytest.raises(SettingsError, match="HOT_WALLET_PASSWORD begins or ends") as refused:
        load()
    assert "secret" not in str(refused.value)
    monkeypatch.delenv("HOT_WALLET_PASSWORD")
    (tmp_path / "password").write_text(text + "\n")
    monkeypatch.setenv("HOT_WALLET_PASSWORD_FILE", str(tmp_path / "password"))
    assert load().HOT_WALLET_PASSWORD.get_secret_value() == text.rstrip("\n")


def test_quotes_that_buyers_would_read_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MERCHANT_NAME", '"Acme"')
    with pytest.raises(SettingsError, match="MERCHANT_NAME is in quotes"):
        load()
    monkeypatch.setenv("MERCHANT_NAME", '  The "Acme" shop\r\n')
    assert load().MERCHANT_NAME == 'The "Acme" shop'


@pytest.mark.parametrize("text", ["", " ", '""', "\r\n"])
def test_a_variable_that_is_set_to_nothing_is_not_set(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    defaults = {name: field.default for name, field in Settings.model_fields.items()}
    for name in ("CHECKOUT_PAGE", "LOG_FORMAT", "CHAIN_NODES_FILE", "HOT_WALLET_KEYSTORE", "REDIS_URL", "SENTRY_DSN"):
        monkeypatch.setenv(name, text)
        assert shown(getattr(load(), name)) == shown(defaults[name])


@pytest.mark.parametrize("name", ["onramp\n1", "onramp,", "on ramp", "onramp" + NBSP + "x"])
def test_an_implausible_database_name_is_refused(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", f"postgresql://u:marker@h/{name}")
    with pytest.raises(SettingsError, match="DATABASE_URL: ") as refused:
        load()
    assert "marker" not in str(refused.value)


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ("https://App.Example.com", "https://app.example.com"),
        ("HTTPS://a.example", "https://a.example"),
        ("https://shop.example.com:443", "https://shop.example.com"),
        ("http://a.example:80/", "http://a.example"),
        ("http://a.example:443", "http://a.example:443"),
        ("https://münchen.example", "https://xn--mnchen-3ya.example"),
        ("https://例え.テスト:8443", "https://xn--r8jz45g.xn--zckzah:8443"),
        ("http://[::1]:5173", "http://[::1]:5173"),
        ("http://localhost:5173, https://A.example ,https://a.example:443", "http://localhost:5173,https://a.example"),
        ("*", "*"),
    ],
)
def test_an_origin_is_kept_as_browsers_send_it(given: str, sent: str) -> None:
    assert ",".join(load(ALLOWED_ORIGINS=given).origins) == sent


@pytest.mark.parametrize(
    "text", ["https://*.vercel.app", "https://a.example/app", "a.example", "null", "https://a example",
     "https://a.example?x", "https://a.example:0x1", "https://u:p@a.example", "https://a\\b", "file:///x", "https://"],
)  # fmt: skip
def test_an_origin_that_no_browser_sends_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="ALLOWED_ORIGINS: takes exact origins"):
        load(ALLOWED_ORIGINS=text)


@pytest.mark.parametrize(
    ("host", "hosts", "url"),
    [
        ("127.0.0.1", ["127.0.0.1"], "http://127.0.0.1:3001"),
        ("0.0.0.0", ["0.0.0.0"], "http://127.0.0.1:3001"),
        ("::", ["::"], "http://127.0.0.1:3001"),
        ("[::]", ["::"], "http://127.0.0.1:3001"),
        ("::1", ["::1"], "http://[::1]:3001"),
        ("fe80::1%eth0, 127.0.0.1", ["fe80::1%eth0", "127.0.0.1"], "http://[fe80::1%eth0]:3001"),
        ("localhost,[::1],::1", ["localhost", "::1"], "http://localhost:3001"),
    ],
)
def test_hosts_to_listen_at(host: str, hosts: list[str], url: str) -> None:
    settings = load(HOST=host)
    assert (settings.hosts, settings.local_url) == (hosts, url)


@pytest.mark.parametrize("text", [",", "http://a", "1::2::3", "a b", "host:80", "127.0.0.1/8"])
def test_a_host_that_nothing_can_listen_at_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="HOST: takes names or addresses"):
        load(HOST=text)


def test_all_that_is_wrong_is_listed_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Problems of combinations are listed beside variables that cannot be read at all; no variable is named twice."""
    for name, value in {"PORT": "x", "DATA_KEYS": "x", "SESSION_MIN_AMOUNT": "5", "SESSION_MAX_AMOUNT": "4"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("ENVIRONMENT", "production")
    with pytest.raises(SettingsError) as refused:
        load()
    named = [problem.partition(":")[0].split()[0] for problem in refused.value.problems]
    assert {
        "PORT",
        "DATA_KEYS",
        "SESSION_MIN_AMOUNT",
        "STRIPE_SECRET_KEY",
        "METRICS_TOKEN",
        "DATABASE_URL",
        "HOT_WALLET_SIGNER=local",
    } <= set(named)
    assert len(named) == len(set(named))


def test_a_shop_that_could_not_deliver_does_not_open(tmp_path: Path) -> None:
    """Commands that sell nothing need neither address."""
    environment = {"PATH": os.environ["PATH"], "DATABASE_URL": f"sqlite+aiosqlite:///{tmp_path}/x.db"}
    sells, is_paid = {"STRIPE_SECRET_KEY": "sk_live_x"}, {"SETTLEMENT_ADDRESS": ADDRESS}
    keystore = {"HOT_WALLET_KEYSTORE": str(tmp_path / "none.json")}
    for command, given, missing in (
        ("serve", sells, ["SETTLEMENT_ADDRESS"]),
        ("work", sells | {"CHAIN_ID": "31612"}, ["SETTLEMENT_ADDRESS", "HOT_WALLET_ADDRESS"]),
        ("serve", is_paid | keystore, ["STRIPE_SECRET_KEY", "HOT_WALLET_ADDRESS", "HOT_WALLET_PASSWORD"]),
    ):
        refused = run_onramp(environment | given, command)
        assert refused.returncode == 1
        first, *problems = refused.stderr.splitlines()
        assert first == "onramp: the settings cannot be used:"
        assert [problem.split()[0] for problem in problems] == missing
    assert run_onramp(environment | sells, "migrate").returncode == 0


@pytest.mark.parametrize(("name", "value"), [("TREASURY_POLICY", "none.toml"), ("SANCTIONS_LIST", "none.txt"), ("HOT_WALLET_KEYSTORE", "none.json")])  # fmt: skip
def test_a_file_that_is_named_and_is_not_there_stops_the_start(tmp_path: Path, name: str, value: str) -> None:
    refused = run_onramp(
        {
            "PATH": os.environ["PATH"], "LOG_LEVEL": "error", "DATABASE_URL": f"sqlite+aiosqlite:///{tmp_path}/x.db", "PORT": "0",
            "HOT_WALLET_ADDRESS": ADDRESS, "HOT_WALLET_PASSWORD": "x", name: str(tmp_path / value),
        },
        "serve",
    )  # fmt: skip
    assert (refused.returncode, name in refused.stderr, "Traceback" in refused.stderr) == (1, True, False)


def test_a_keystore_says_which_wallet_it_holds(tmp_path: Path) -> None:
    keystore = tmp_path / "keystore.json"
    keystore.write_text(json.dumps({"address": ADDRESS[2:].lower()}))
    assert load(HOT_WALLET_KEYSTORE=keystore).hot_wallet == ADDRESS
    assert load(HOT_WALLET_KEYSTORE=keystore, HOT_WALLET_SIGNER="aws-kms").hot_wallet is None
    other = "0x" + "11" * 20
    assert load(HOT_WALLET_KEYSTORE=keystore, HOT_WALLET_ADDRESS=other).hot_wallet == other
    for text in ("{}", "[]", '{"address": "0x12"}', "no JSON"):
        keystore.write_text(text)
        assert load(HOT_WALLET_KEYSTORE=keystore).hot_wallet is None


def test_a_mail_server_needs_a_sender(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SMTP_URL", "smtp://u:p@127.0.0.1:587")
    with pytest.raises(SettingsError, match="MAIL_FROM is missing"):
        load()
    monkeypatch.setenv("MAIL_FROM", "The Shop <orders@shop.example>")
    settings = load()
    plain, verified = (settings.mail_server(is_production=is_production) for is_production in (False, True))
    assert plain is not None and verified is not None and (plain.tls, verified.tls) == ("none", "starttls")
