"""A database URL is taken as platforms, poolers and libpq write it; what is not known is refused by name."""

import datetime as dt
import ssl
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from kit.db.url import parse_url

BASE = "postgresql://u:marker@db.example:5432/onramp"


@pytest.mark.parametrize(
    ("query", "arguments"),
    [
        ("", {}),
        ("?sslmode=require", {"ssl": "require"}),
        ("?ssl=true", {"ssl": "require"}),
        ("?sslmode=no-verify", {"ssl": "require"}),
        ("?sslmode=disable&channel_binding=prefer", {"ssl": "disable"}),
        ("?sslmode=require&sslnegotiation=direct", {"ssl": "require", "direct_tls": True}),
        ("?connect_timeout=10", {"timeout": 10}),
        ("?connect_timeout=0", {}),
        ("?connect_timeout=1", {"timeout": 2}),
        ("?application_name=onramp", {"server_settings": {"application_name": "onramp"}}),
        ("?options=-c%20search_path%3Dx", {"server_settings": {"options": "-c search_path=x"}}),
        ("?options=endpoint%3Dep-cool-1&sslmode=require", {"server_settings": {"options": "endpoint=ep-cool-1"}, "ssl": "require"}),
        ("?schema=public", {"server_settings": {"search_path": "public"}}),
        ("?pgbouncer=true&connection_limit=1", {}),
        ("?gssencmode=disable&keepalives=1&keepalives_idle=30", {}),
        ("?prepared_statement_cache_size=0&statement_cache_size=0", {"prepared_statement_cache_size": 0, "statement_cache_size": 0}),
    ],
)  # fmt: skip
def test_parameters_mean_what_they_mean_elsewhere(query: str, arguments: dict[str, Any]) -> None:
    for scheme in ("postgres", "postgresql", "postgresql+asyncpg"):
        target = parse_url(BASE.replace("postgresql", scheme) + query)
        assert target.url.render_as_string(hide_password=False) == BASE.replace("postgresql", "postgresql+asyncpg")
        assert target.arguments == arguments


@pytest.mark.parametrize(
    ("query", "pooled"), [("", False), ("?pgbouncer=true", True), ("?pgbouncer=1", True), ("?pgbouncer=false", False)]
)
def test_a_url_may_declare_a_pooler(query: str, *, pooled: bool) -> None:
    assert parse_url(BASE + query).pooled is pooled


def test_hosts_and_sockets_stay_with_the_driver() -> None:
    target = parse_url("postgresql://u:p@/onramp?host=a:1&host=b:2&target_session_attrs=read-write")
    assert dict(target.url.query) == {"host": ("a:1", "b:2"), "target_session_attrs": "read-write"}
    assert dict(parse_url("postgresql://u@/onramp?host=/run/postgresql").url.query) == {"host": "/run/postgresql"}


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("?shema=marker", "shema"),
        ("?sslmode=marker", "sslmode"),
        ("?connect_timeout=marker", "connect_timeout"),
        ("?statement_cache_size=-1", "statement_cache_size"),
        ("?pgbouncer=marker", "pgbouncer"),
        ("?gssencmode=require", "gssencmode"),
        ("?sslrootcert=/nowhere/marker", "sslrootcert"),
        ("?sslmode=verify-full&sslrootcert=/nowhere/marker", "sslrootcert"),
        ("?a&b=marker", "b"),
    ],
)
def test_an_unknown_or_impossible_option_is_refused_by_name(query: str, named: str) -> None:
    with pytest.raises(ValueError, match=rf"has the parameter .*\b{named}\b") as refused:
        parse_url(BASE + query)
    assert "marker" not in str(refused.value)


@pytest.mark.parametrize("text", ["", "mysql://h/x", "onramp", "postgresql://h:port/x", "mongodb+srv://marker"])
def test_another_database_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a supported database URL") as refused:
        parse_url(text)
    assert "marker" not in str(refused.value)


def certificate(folder: Path) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a private authority")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = folder / "ca.pem"
    file.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    return file


@pytest.mark.parametrize(
    ("query", "checks_name"), [("sslmode=verify-full", True), ("sslmode=verify-ca", False), ("sslmode=require", False)]
)
def test_with_a_private_authority_no_other_is_trusted(tmp_path: Path, query: str, *, checks_name: bool) -> None:
    target = parse_url(f"{BASE}?{query}&sslrootcert={certificate(tmp_path)}")
    context = target.arguments["ssl"]
    assert isinstance(context, ssl.SSLContext)
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, checks_name)
    assert "a private authority" in str(context.get_ca_certs())
    assert len(context.get_ca_certs()) == 1


def test_the_systems_authorities_check_the_name() -> None:
    for query in ("sslrootcert=system", "sslmode=verify-full"):
        assert parse_url(f"{BASE}?{query}").arguments["ssl"].check_hostname is True
