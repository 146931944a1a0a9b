"""The checkout page over HTTP: in the buyer's language, small, cached by hash, and nothing of it from elsewhere."""

import base64
import hashlib
import json
import re
from typing import Any, Final

import pytest
from yarl import URL

from onramp.checkout.documents import DEVELOPMENT_WALLET
from onramp.client.files import SERVED, load
from onramp.sessions.buyer_context import LOCALES
from tests.support.paths import ROOT

MAX_BYTES: Final = 20 * 1024
"""Of the scripts and style sheets that the page loads at first, compressed."""
MAX_REQUESTS: Final = 4


async def get(service: Any, path: str, **headers: str) -> tuple[int, Any, bytes]:
    async with service.http.get(URL(service.api + path), headers=headers, auto_decompress=False) as answer:
        return answer.status, answer.headers, await answer.read()


async def page(service: Any, path: str = "/checkout", **headers: str) -> tuple[str, Any]:
    status, answered, body = await get(service, path, **{"Accept-Encoding": "identity", **headers})
    assert (status, answered["Content-Type"]) == (200, "text/html; charset=utf-8")
    return body.decode(), answered


def attribute(document: str, name: str) -> str:
    match = re.search(rf'\b{name}="([^"]*)"', document)
    assert match is not None, name
    return match[1]


async def words(service: Any, document: str) -> dict[str, str]:
    _, _, body = await get(service, attribute(document, "data-words"), **{"Accept-Encoding": "identity"})
    texts: dict[str, str] = json.loads(body.decode().removeprefix("export const words=").removesuffix(";"))
    return texts


@pytest.mark.parametrize(
    ("path", "accepted", "language"),
    [
        ("/checkout", "", "en"),
        ("/checkout", "tlh, pt-PT;q=0.8, en;q=0.5", "pt-BR"),
        ("/checkout", "en;q=0.3, de-CH;q=0.9, fr;q=x", "de"),
        ("/checkout", "zh-TW", "zh-Hans"),
        ("/checkout?locale=fr-CA", "de", "fr"),
        ("/checkout?locale=tlh", "ja", "ja"),
        ("/checkout/s/ons_1?locale=ko", "de", "ko"),
        ("/checkout/s/ons_1", "de;q=0", "en"),
        ("/checkout/", "de", "de"),
        ("/checkout/s", "de", "de"),
        ("/checkout/s/", "de", "de"),
        ("/checkout/s/ons_1/", "de", "de"),
        ("/checkout/s/ons_1%20", "de", "de"),
        ("/checkout/s/ons_1).", "de", "de"),
    ],
)
async def test_the_language_is_the_parameters_then_the_browsers(
    service: Any, path: str, accepted: str, language: str
) -> None:
    document, headers = await page(service, path, **{"Accept-Language": accepted})
    assert attribute(document, "lang") == language
    assert headers["Vary"] == "Accept-Encoding, Accept-Language"
    assert "{{" not in document and "__CHECKOUT_CONFIG__" not in document


async def test_every_language_says_everything_with_the_same_values_to_fill_in(service: Any) -> None:
    build = load()
    assert build is not None and set(build.languages) == set(LOCALES)
    english = await words(service, (await page(service, "/checkout?locale=en"))[0])
    assert len(english) > 120
    for language in LOCALES:
        translated = await words(service, (await page(service, f"/checkout?locale={language}"))[0])
        assert set(translated) == set(english), language
        for key, text in translated.items():
            assert text.strip(), (language, key)
            assert sorted(re.findall(r"{\w+}", text)) == sorted(re.findall(r"{\w+}", english[key])), (language, key)


async def test_in_every_language_the_page_loads_at_most_20_kilobytes_in_4_requests_that_are_cached_for_ever(
    service: Any,
) -> None:
    for language in LOCALES:
        document, _ = await page(service, f"/checkout?locale={language}")
        first = {attribute(document, "data-words"), *re.findall(r'<script type="module" src="([^"]+)"', document)}
        first |= set(re.findall(r'<link rel="stylesheet" href="([^"]+)"', document))
        size = 0
        for path in first:
            status, headers, body = await get(service, path, **{"Accept-Encoding": "gzip, br"})
            assert (status, headers["Content-Encoding"]) == (200, "br")
            assert headers["Cache-Control"] == "public, max-age=31536000, immutable"
            assert re.search(r"-[0-9A-Za-z]{8}\.(js|css)$", path)
            # An import of its own would be one more request, after this one.
            assert not re.search(rb'\bfrom"\./|\bimport"\./', body)
            size += len(body)
        assert size <= MAX_BYTES, f"{language}: {size} bytes"
        assert len(first) <= MAX_REQUESTS


async def test_the_document_is_kept_for_the_back_button_and_asked_for_again(service: Any) -> None:
    for encoding in ("identity", "gzip"):
        status, headers, body = await get(service, "/checkout", **{"Accept-Encoding": encoding})
        assert (status, headers["Cache-Control"]) == (200, "private, no-cache")
        known = {"Accept-Encoding": encoding, "If-None-Match": headers["ETag"]}
        assert (await get(service, "/checkout", **known))[::2] == (304, b"")
    assert len(body) < 6000


async def test_a_slash_at_the_end_changes_nothing_for_monitors_either(service: Any) -> None:
    for path in ("/checkout", "/checkout/"):
        async with service.http.head(service.api + path) as answer:
            assert (answer.status, answer.headers["Cache-Control"]) == (200, "private, no-cache"), path


async def test_the_policy_allows_the_style_of_the_document_and_no_inline_script(service: Any) -> None:
    document, headers = await page(service)
    style = re.search(r"<style>(.*?)</style>", document, re.DOTALL)
    assert style is not None
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    assert f"style-src 'self' 'sha256-{digest}';" in headers["Content-Security-Policy"]
    scripts = re.findall(r"<script([^>]*)>", document)
    assert all('type="application/json"' in tag or "src=" in tag for tag in scripts)
    assert not re.search(r"\son\w+=|style=", document)


async def test_the_theme_is_in_the_document_before_any_script_runs(service: Any) -> None:
    for query, theme in (("", "auto"), ("?theme=dark", "dark"), ("?theme=light", "light"), ("?theme=%22%3E", "auto")):
        document, _ = await page(service, f"/checkout{query}")
        assert attribute(document, "data-theme") == theme


async def test_wallets_with_known_keys_are_served_in_development_alone(start: Any, monkeypatch: Any) -> None:
    service = await start()
    document, _ = await page(service)
    path = attribute(document, "data-development")
    status, _, body = await get(service, path, **{"Accept-Encoding": "identity"})
    assert status == 200 and DEVELOPMENT_WALLET.encode() in body
    monkeypatch.setattr("onramp.config.settings.Settings.is_production", property(lambda _: True))
    assert (await get(service, path))[0] == 404
    assert (await get(service, attribute(document, "data-later")))[0] == 200


async def test_every_file_that_a_document_names_is_there_and_nothing_else_is_served(service: Any) -> None:
    document, _ = await page(service)
    for path in set(re.findall(r'"(/checkout/[^"]+\.\w+)"', document)):
        assert (await get(service, path))[0] == 200, path
    for path in ("../manifest.json", "%2e%2e/page/en.html", "page/en.html", "index.html", "main.ts"):
        assert (await get(service, f"/checkout/{path}"))[0] == 404, path
    assert (SERVED / "page" / "en.html").exists()


async def test_without_a_build_the_page_says_what_to_run(start: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr("onramp.client.files.load", lambda: None)
    service = await start()
    for path in ("/checkout", "/checkout/s/ons_1", "/checkout/main.js"):
        status, _, body = await get(service, path)
        assert status == 503 and json.loads(body)["code"] == "client_not_built", path


async def test_no_setting_can_close_the_script_that_holds_the_settings(start: Any) -> None:
    service = await start(MERCHANT_NAME="</script><script>alert(1)</script>")
    document, _ = await page(service)
    assert "alert(1)</script>" not in document
    config = re.search(r'id="config">(.*?)</script>', document)
    assert config is not None and json.loads(config[1])["merchantName"] == "</script><script>alert(1)</script>"


def test_no_text_of_the_document_is_written_by_hand() -> None:
    template = (ROOT / "client" / "checkout" / "index.html").read_text()
    body = re.sub(r"<style>.*?</style>|<!--.*?-->", "", template.partition("<body>")[2], flags=re.DOTALL)
    texts = {text.strip() for text in re.findall(r">([^<>]+)<", body)} | set(
        re.findall(r'(?:aria-label|placeholder)="([^"]+)"', body)
    )
    by_hand = {text for text in texts if re.search(r"[A-Za-z]{2}", re.sub(r"{{\w+}}|&nbsp;", "", text))}
    assert by_hand <= {"MUSD", "USD"}
