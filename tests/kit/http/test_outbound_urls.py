"""Which URLs a request may go to, by their text alone."""

from ipaddress import ip_address

import pytest

from kit.http.outbound_urls import MAX_LENGTH, OutboundRules, UrlNotPublicError, check_url
from kit.http.public_addresses import is_public

PRODUCTION = OutboundRules()
DEVELOPMENT = OutboundRules(development=True)
NOT_PUBLIC = [
    "0.0.0.0",
    "10.1.2.3",
    "100.64.0.1",
    "100.100.100.200",
    "127.0.0.1",
    "127.255.255.254",
    "168.63.129.16",
    "169.254.169.254",
    "172.31.255.255",
    "192.0.0.192",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.0.1",
    "198.18.0.1",
    "198.19.255.255",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::7f00:1",
    "::ffff:10.0.0.1",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "64:ff9b::a00:1",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::808:808",
    "100::1",
    "2001::1",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    "2001:db8::1",
    "2002:7f00:1::",
    "2002:a9fe:a9fe::1",
    "3fff::1",
    "5f00::1",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fec0::1",
    "ff02::1",
]
PUBLIC = ["8.8.8.8", "100.63.255.255", "172.32.0.1", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_an_address_of_another_network_is_refused_as_a_literal(address: str) -> None:
    host = f"[{address}]" if ":" in address else address
    assert not is_public(ip_address(address))
    with pytest.raises(UrlNotPublicError, match="public addresses only"):
        check_url(f"https://{host}/hooks", PRODUCTION)


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_is_allowed(address: str) -> None:
    host = f"[{address}]" if ":" in address else address
    assert is_public(ip_address(address))
    assert check_url(f"https://{host}/hooks", PRODUCTION).path == "/hooks"


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("http://shop.example/", "must begin with https"),
        ("ftp://shop.example/", "must begin with https"),
        ("file:///etc/passwd", "must begin with https"),
        ("//shop.example/", "must begin with https"),
        ("", "must begin with https"),
        ("https://user@shop.example/", "user name or a password"),
        ("https://user:secret@shop.example/", "user name or a password"),
        ("https://shop.example:0/", "between 1 and 65535"),
        ("https://shop.example:70000/", "not a valid URL"),
        ("https://shop.example:22/", "port 22 is not allowed"),
        ("https://shop.example:80/", "port 80 is not allowed"),
        ("https://shop.example:6379/", "port 6379 is not allowed"),
        ("https:///hooks", "not a valid URL|no valid host"),
        ("https://-shop.example/", "no valid host name"),
        ("https://shop..example/", "no valid host name"),
        ("https://" + "a" * 64 + ".example/", "no valid host name"),
        ("https://" + "a." * 127 + "example/", "no valid host name"),
        ("https://ex%61mple.com/", "no valid host name"),
        ("https://xn--.example/", "no valid host name"),
        ("https://shop.example\\@127.0.0.1/", "backslashes"),
        ("https://shop.example/ x", "spaces"),
        ("https://shop.example/\r\nX: y", "control characters"),
        ("https://localhost/", "local network"),
        ("https://localhost./", "local network"),
        ("https://LOCALHOST/", "local network"),
        ("https://intranet/", "local network"),
        ("https://metadata.google.internal/", "local network"),
        ("https://printer.local/", "local network"),
        ("https://127.1/", "a number, not a host name"),
        ("https://2130706433/", "a number, not a host name"),
        ("https://0x7f.0x0.0x0.0x1/", "a number, not a host name"),
        ("https://0177.0.0.1/", "a number, not a host name"),
        ("https://１２７.０.０.１/", "public addresses only"),
        ("https://169。254。169。254/", "public addresses only"),
        ("https://ⓛⓞⓒⓐⓛⓗⓞⓢⓣ/", "local network"),
        ("https://shop.example/" + "a" * MAX_LENGTH, "at most 2000 characters"),
    ],
)
def test_a_url_that_is_not_a_public_receiver_is_refused_with_a_sentence(url: str, sentence: str) -> None:
    with pytest.raises(UrlNotPublicError, match=sentence) as refused:
        check_url(url, PRODUCTION)
    assert "secret" not in str(refused.value)
    assert refused.value.code == "url_not_public"


def test_an_international_host_is_used_in_punycode_and_a_fragment_is_dropped() -> None:
    url = check_url("https://Bücher.example:8443/hooks?shop=1#top", PRODUCTION)
    assert str(url) == "https://xn--bcher-kva.example:8443/hooks?shop=1"


def test_configured_ports_replace_the_default_ones() -> None:
    rules = OutboundRules(ports=frozenset({9443}))
    assert check_url("https://shop.example:9443/", rules).port == 9443
    with pytest.raises(UrlNotPublicError, match="Allowed are: 9443"):
        check_url("https://shop.example/", rules)


@pytest.mark.parametrize(
    "url",
    ["http://localhost:3000/hook", "http://127.0.0.1:3000/hook", "http://[::1]:3000/hook", "http://api.localhost/hook"],
)
def test_development_allows_this_computer_and_plain_http(url: str) -> None:
    assert str(check_url(url, DEVELOPMENT)) == url


@pytest.mark.parametrize(
    "url", ["http://10.0.0.1/", "https://169.254.169.254/", "http://intranet/", "http://[fd00:ec2::254]/"]
)
def test_development_does_not_open_the_rest_of_the_network(url: str) -> None:
    with pytest.raises(UrlNotPublicError, match="public addresses only"):
        check_url(url, DEVELOPMENT)
