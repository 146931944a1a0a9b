"""Requests to receivers that somebody else chose: real sockets, real TLS, and a name server that changes its answers."""

import asyncio
import socket
from collections.abc import Sequence
from pathlib import Path

import pytest
from yarl import URL

from kit.http.outbound import MAX_BODY, OutboundFailure, OutboundResponse
from kit.http.outbound_urls import OutboundRules, UrlNotPublicError
from tests.support.certificates import Authority
from tests.support.raw_receivers import OK, answering, names, outbound_client, raw_receiver


async def test_a_request_arrives_as_it_was_given_and_its_response_is_returned() -> None:
    body = b'{"type":"webhook.test"}'
    received = bytearray()

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        received.extend(await reader.readexactly(len(body)))
        await OK(reader, writer)

    async with raw_receiver(handler) as (port, heads), outbound_client() as outbound:
        result = await outbound.request(
            "POST",
            f"http://localhost:{port}/hooks?a=1",
            body=body,
            headers={"webhook-id": "msg_1", "User-Agent": "Onramp"},
        )
    assert isinstance(result, OutboundResponse)
    assert (result.status, result.body, result.headers["retry-after"]) == (200, b"ok", "7")
    head = heads[0].decode()
    assert bytes(received) == body
    assert head.startswith("POST /hooks?a=1 HTTP/1.1\r\n")
    assert f"Host: localhost:{port}\r\n" in head
    assert "webhook-id: msg_1\r\n" in head
    assert "User-Agent: Onramp\r\n" in head


async def test_a_redirect_is_a_response_and_never_followed() -> None:
    redirect = b"HTTP/1.1 302 Found\r\nLocation: http://169.254.169.254/latest/meta-data\r\nContent-Length: 0\r\n\r\n"
    async with raw_receiver(answering(redirect)) as (port, heads), outbound_client() as outbound:
        result = await outbound.request("POST", f"http://127.0.0.1:{port}/")
    assert isinstance(result, OutboundResponse)
    assert result.status == 302
    assert len(heads) == 1


@pytest.mark.parametrize(
    "addresses",
    [
        ["127.0.0.1"],
        ["10.0.0.1"],
        ["169.254.169.254"],
        ["::ffff:127.0.0.1"],
        ["64:ff9b::7f00:1"],
        ["8.8.8.8", "127.0.0.1"],
    ],
)
async def test_a_name_with_an_address_that_is_not_public_is_refused(addresses: list[str]) -> None:
    async with raw_receiver(OK) as (port, heads):
        rules = OutboundRules(ports=frozenset({port}))
        async with outbound_client(rules, resolve=names(addresses)) as outbound:
            result = await outbound.request("POST", f"https://shop.example:{port}/")
            with pytest.raises(UrlNotPublicError, match=r"shop\.example is not a public address"):
                await outbound.check_destination(f"https://shop.example:{port}/")
    assert isinstance(result, OutboundFailure)
    assert (result.kind, result.never_sent) == ("url_not_public", True)
    assert not any(address in result.reason for address in addresses)
    assert not heads


async def test_a_name_that_changes_between_check_and_use_is_refused() -> None:
    async with raw_receiver(OK) as (port, heads):
        rules = OutboundRules(ports=frozenset({port}))
        async with outbound_client(rules, resolve=names(["93.184.216.34"], ["127.0.0.1"])) as outbound:
            await outbound.check_destination(f"https://shop.example:{port}/")
            result = await outbound.request("POST", f"https://shop.example:{port}/")
    assert isinstance(result, OutboundFailure)
    assert result.kind == "url_not_public"
    assert not heads


async def test_no_socket_is_opened_to_an_address_that_is_not_public_whatever_the_url_check_overlooked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("kit.http.outbound.check_url", lambda text, _rules: URL(text))
    async with raw_receiver(OK) as (port, heads), outbound_client(OutboundRules()) as outbound:
        result = await outbound.request("GET", f"http://127.0.0.1:{port}/")
    assert isinstance(result, OutboundFailure)
    assert result.kind == "url_not_public"
    assert not heads


async def test_the_certificate_is_checked_for_the_name_although_the_connection_goes_to_the_address(
    tmp_path: Path,
) -> None:
    authority = Authority(tmp_path)
    async with (
        raw_receiver(OK, authority.serving("shop.example")) as (port, heads),
        outbound_client(resolve=names(["127.0.0.1"]), ssl_context=authority.trusting()) as outbound,
    ):
        result = await outbound.request("POST", f"https://shop.example:{port}/")
        mismatch = await outbound.request("POST", f"https://other.example:{port}/")
    assert isinstance(result, OutboundResponse)
    assert isinstance(mismatch, OutboundFailure)
    assert (mismatch.kind, mismatch.never_sent) == ("certificate", True)
    assert "other.example" in mismatch.reason
    assert len(heads) == 1


async def test_an_expired_certificate_and_one_of_an_unknown_authority_are_refused_with_the_reason(
    tmp_path: Path,
) -> None:
    authority = Authority(tmp_path)
    (tmp_path / "other").mkdir()
    stranger = Authority(tmp_path / "other")
    trusted = authority.trusting()
    for tls, reason in (
        (authority.serving("shop.example", days=-1), "certificate has expired"),
        (stranger.serving("shop.example"), "unable to get"),
    ):
        async with (
            raw_receiver(OK, tls) as (port, heads),
            outbound_client(resolve=names(["127.0.0.1"]), ssl_context=trusted) as outbound,
        ):
            result = await outbound.request("POST", f"https://shop.example:{port}/")
        assert isinstance(result, OutboundFailure)
        assert result.kind == "certificate"
        assert reason in result.reason
        assert not heads


async def test_a_server_without_tls_is_a_failed_handshake() -> None:
    async def speak(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example ESMTP\r\n")
        writer.close()

    server = await asyncio.start_server(speak, "127.0.0.1", 0)
    async with server, outbound_client() as outbound:
        result = await outbound.request("POST", f"https://localhost:{server.sockets[0].getsockname()[1]}/")
    assert isinstance(result, OutboundFailure)
    assert (result.kind, result.never_sent) == ("tls", True)


@pytest.mark.parametrize(
    "start", [b"HTTP/1.1 200 ", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n"]
)
async def test_a_receiver_that_sends_a_byte_now_and_then_ends_with_the_attempt(start: bytes) -> None:
    async def drip(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(start)
        while not writer.is_closing():
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(0.1)

    async with raw_receiver(drip) as (port, _), outbound_client(seconds=0.4) as outbound:
        result = await outbound.request("POST", f"http://localhost:{port}/")
    assert isinstance(result, OutboundFailure)
    assert (result.kind, result.never_sent) == ("timeout", False)
    assert result.reason == "localhost did not answer completely within 0.4 s."


@pytest.mark.parametrize("head", [b"Content-Length: 1000000000", b"Transfer-Encoding: chunked"])
async def test_only_the_first_bytes_of_an_endless_body_are_read(head: bytes) -> None:
    sent = 0
    part = b"a" * 65_536

    async def flood(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(b"HTTP/1.1 200 OK\r\n" + head + b"\r\n\r\n")
        while not writer.is_closing():
            writer.write(part if b"Length" in head else b"10000\r\n" + part + b"\r\n")
            await writer.drain()
            sent += len(part)

    async with raw_receiver(flood) as (port, _), outbound_client() as outbound:
        result = await outbound.request("POST", f"http://localhost:{port}/")
    assert isinstance(result, OutboundResponse)
    assert (result.status, result.body) == (200, b"a" * MAX_BODY)
    assert sent < 32 << 20


async def test_a_compressed_body_is_not_unpacked() -> None:
    bomb = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 4\r\n\r\n\x1f\x8b\x08\x00"
    async with raw_receiver(answering(bomb)) as (port, heads), outbound_client() as outbound:
        result = await outbound.request("POST", f"http://localhost:{port}/")
    assert isinstance(result, OutboundResponse)
    assert result.body == b"\x1f\x8b\x08\x00"
    assert b"Accept-Encoding: identity" in heads[0]


@pytest.mark.parametrize(
    ("response", "kind"),
    [
        (b"", "disconnected"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nshort", "disconnected"),
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "protocol"),
        (b"HTTP/1.1 200 OK\r\n" + b"X-Long: " + b"a" * 100_000 + b"\r\n\r\n", "protocol"),
    ],
)
async def test_a_broken_response_is_a_failure_with_a_reason(response: bytes, kind: str) -> None:
    async with raw_receiver(answering(response)) as (port, _), outbound_client() as outbound:
        result = await outbound.request("POST", f"http://localhost:{port}/hooks/T0K3N")
    assert isinstance(result, OutboundFailure)
    assert (result.kind, result.never_sent) == (kind, False)
    assert result.reason.startswith("localhost ")
    assert "T0K3N" not in result.reason


async def test_a_connection_that_is_reset_is_a_failure() -> None:
    async def reset(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        sock = writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
        writer.transport.abort()

    async with raw_receiver(reset) as (port, _), outbound_client() as outbound:
        result = await outbound.request("POST", f"http://localhost:{port}/")
    assert isinstance(result, OutboundFailure)
    assert result.kind == "disconnected"


async def test_a_closed_port_and_an_unknown_name_are_failures_before_anything_was_sent() -> None:
    async def unknown(_host: str, _port: int) -> Sequence[str]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    async with raw_receiver(OK) as (port, _):
        pass
    async with outbound_client() as outbound, outbound_client(resolve=unknown) as nameless:
        closed = await outbound.request("POST", f"http://127.0.0.1:{port}/")
        nowhere = await nameless.request("POST", "https://shop.example/")
        await nameless.check_destination("https://shop.example/")
        refused = await nameless.request("POST", "https://user:secret@shop.example/")
    assert isinstance(closed, OutboundFailure)
    assert (closed.kind, closed.never_sent) == ("connect", True)
    assert nowhere == OutboundFailure("dns", "shop.example does not resolve to an address.")
    assert isinstance(refused, OutboundFailure)
    assert refused.kind == "url_not_public"


async def test_a_name_server_that_does_not_answer_ends_with_the_attempt() -> None:
    async def silent(_host: str, _port: int) -> Sequence[str]:
        await asyncio.sleep(3600)
        return []

    async with outbound_client(seconds=0.2, resolve=silent) as outbound:
        result = await outbound.request("POST", "https://shop.example/")
    assert isinstance(result, OutboundFailure)
    assert result.kind == "timeout"


async def test_the_environment_s_proxy_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    async with (
        raw_receiver(OK) as (proxy_port, proxy_heads),
        raw_receiver(OK) as (port, heads),
        outbound_client() as outbound,
    ):
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy_port}")
        assert isinstance(await outbound.request("POST", f"http://localhost:{port}/"), OutboundResponse)
    assert len(heads) == 1
    assert not proxy_heads


async def test_a_client_may_be_used_again_after_it_was_closed() -> None:
    async with raw_receiver(OK) as (port, _), outbound_client() as outbound:
        for _round in range(2):
            assert isinstance(await outbound.request("POST", f"http://localhost:{port}/"), OutboundResponse)
            await outbound.close()
