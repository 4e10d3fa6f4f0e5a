"""Which webhooks are accepted, how they are signed, and when they are sent again."""

import base64
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from ipaddress import ip_address
from typing import Any

import pytest
from pydantic import ValidationError
from standardwebhooks import Webhook as Official

from shared.job import JobRequest
from shared.settings import Settings
from shared.webhook import Webhook, is_public, names_private_host, signing_key
from tests.receiver import SECRET
from worker.post import Answer
from worker.webhooks import judge, retry_after, sign

PUBLIC = ["1.1.1.1", "8.8.8.8", "93.184.215.14", "2606:4700:4700::1111", "2a00:1450:4001:80b::200e"]
NOT_PUBLIC = [
    "0.0.0.0", "10.1.2.3", "100.64.0.1", "127.0.0.1", "127.255.255.254", "169.254.169.254",
    "172.16.0.1", "172.31.255.255", "192.0.0.8", "192.0.2.1", "192.88.99.1", "192.168.1.1",
    "198.18.0.1", "198.51.100.7", "203.0.113.9", "224.0.0.1", "239.255.255.250", "240.0.0.1",
    "255.255.255.255",
    "::", "::1", "::127.0.0.1", "::ffff:127.0.0.1", "::ffff:8.8.8.8", "64:ff9b::808:808",
    "64:ff9b:1::1", "100::1", "2001::1", "2001:db8::1", "2002:7f00:1::", "3fff::1", "5f00::1",
    "fc00::1", "fd12:3456::1", "fe80::1", "fec0::1", "ff02::1",
]  # fmt: skip


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_may_be_called(address: str) -> None:
    assert is_public(ip_address(address))


@pytest.mark.parametrize("address", NOT_PUBLIC)
def test_other_addresses_may_not_be_called(address: str) -> None:
    assert not is_public(ip_address(address))


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "127.1", "0x7f000001", "2130706433", "0177.0.0.1", "0", "localhost", "LocalHost",
     "localhost.", "a.localhost", "127.0.0.1.", "[::1]", "[::ffff:10.0.0.1]", "[fe80::1]"],
)  # fmt: skip
def test_a_url_that_spells_a_private_host_is_known_as_such(host: str) -> None:
    assert names_private_host(Webhook(url=f"http://{host}/x").url)
    assert names_private_host(Webhook(url=f"https://{host}:8443/x").url)


@pytest.mark.parametrize(
    "host", ["example.com", "8.8.8.8", "[2606:4700:4700::1111]", "notlocalhost"]
)
def test_a_url_that_spells_another_host_is_not(host: str) -> None:
    assert not names_private_host(f"https://{host}/")


@pytest.mark.parametrize(
    "url",
    ["", "example.com", "/hook", "ftp://example.com/", "file:///etc/passwd", "https://", "https:///x",
     "https://user@example.com/", "https://user:secret@example.com/", "https://@example.com/",
     "https://example.com:0/", "https://example.com:65536/", "https://example.com:x/",
     "https://exam ple.com/", "https://example.com/\r\nHost: x", "https://example.com\\@evil.com/",
     "https://example.com/#part", "https://exämple.com/", "https://[::1", "https://[::1]x/",
     "https://[fe80::1%25eth0]/", "https://exa%6dple.com/", "https://" + "a" * 2000],
)  # fmt: skip
def test_other_urls_are_refused(url: str) -> None:
    with pytest.raises(ValidationError):
        Webhook(url=url)


@pytest.mark.parametrize(
    "url",
    ["https://example.com", "HTTPS://Example.com/", "http://example.com:8080/a/b?c=d&e=@",
     "https://[2606:4700:4700::1111]:8443/", "https://xn--exmple-cua.com/hook"],
)  # fmt: skip
def test_http_and_https_urls_are_accepted(url: str) -> None:
    assert Webhook(url=url).url == url


@pytest.mark.parametrize(
    "secret",
    ["", "whsec_", "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZI",
     "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaS!", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLa-_",
     "whsec_" + "A" * 100, "whsec_" + "A" * 300],
)  # fmt: skip
def test_secrets_of_another_form_are_refused_without_being_repeated(secret: str) -> None:
    with pytest.raises(ValidationError) as caught:
        JobRequest.model_validate({"webhook": {"url": "https://example.com", "secret": secret}})
    assert not secret or secret not in "".join(one["msg"] for one in caught.value.errors())


@pytest.mark.parametrize("length", [24, 25, 26, 32, 64])
@pytest.mark.parametrize("padded", [True, False])
def test_the_official_package_verifies_every_signature(length: int, padded: bool) -> None:
    encoded = base64.b64encode(bytes(range(length))).decode()
    secret = "whsec_" + (encoded if padded else encoded.rstrip("="))
    assert signing_key(secret) == bytes(range(length))
    body, now = '{"name": "größer"}'.encode(), int(datetime.now(UTC).timestamp())
    headers = {
        "webhook-id": "msg_1",
        "webhook-timestamp": str(now),
        "webhook-signature": sign(secret, "msg_1", now, body),
    }
    assert Official(secret).verify(body, headers) == {"name": "größer"}


def test_nothing_that_is_printed_shows_the_secret() -> None:
    request: Any = JobRequest.model_validate(
        {"webhook": {"url": "https://example.com", "secret": SECRET}}
    )
    settings = Settings(webhook_secret=SECRET)
    assert request.webhook.secret.get_secret_value() == SECRET
    for printed in (repr(request), str(request.model_dump()), request.model_dump_json(),
                    repr(settings), settings.model_dump_json()):  # fmt: skip
        assert SECRET not in printed


def test_a_setting_that_is_no_secret_is_refused() -> None:
    with pytest.raises(ValidationError, match="must begin with whsec_"):
        Settings(webhook_secret="hunter2")


def test_the_schedule_is_the_suggested_one() -> None:
    waits = Settings().webhook_waits
    assert waits == (5, 300, 1800, 7200, 18000, 36000, 50400, 72000, 86400)


@pytest.mark.parametrize("status", [200, 201, 204, 299])
def test_every_2xx_is_a_delivery(status: int) -> None:
    assert judge(Answer(status, None), 0, (1,)).status == "delivered"


@pytest.mark.parametrize("status", [100, 301, 302, 307, 400, 404, 429, 500, 503])
def test_anything_else_is_tried_again_after_growing_waits_with_jitter(status: int) -> None:
    waits = (5.0, 300.0, 1800.0)
    for attempts, wait in enumerate(waits):
        outcomes = [judge(Answer(status, None), attempts, waits) for _ in range(50)]
        assert {outcome.status for outcome in outcomes} == {"pending"}
        assert all(0.8 * wait <= outcome.wait_seconds <= 1.2 * wait for outcome in outcomes)
        assert len({outcome.wait_seconds for outcome in outcomes}) > 1
    last = judge(Answer(status, None), len(waits), waits)
    assert (last.status, last.error) == ("failed", f"HTTP status {status}")


def test_410_ends_it_at_once() -> None:
    assert judge(Answer(410, None), 0, (1,)).status == "disabled"


def test_retry_after_is_honoured_where_it_means_something() -> None:
    assert judge(Answer(429, "600"), 0, (5,)).wait_seconds == 600
    assert judge(Answer(503, "600"), 0, (5,)).wait_seconds == 600
    assert judge(Answer(503, "1"), 0, (5,)).wait_seconds >= 4
    assert judge(Answer(500, "600"), 0, (5,)).wait_seconds <= 6
    assert judge(Answer(503, "600"), 1, (5,)).status == "failed"


@pytest.mark.parametrize(
    ("header", "seconds"),
    [(None, 0), ("", 0), ("120", 120), ("-5", 0), ("soon", 0), ("1e9", 0), ("9" * 500, 0),
     ("999999999", 86_400), ("Wed, 21 Oct 2015 07:28:00 GMT", 0),
     ("Wed, 21 Oct 2015 07:28:00 +99999999999", 0)],
)  # fmt: skip
def test_retry_after_is_read_and_bounded(header: str | None, seconds: float) -> None:
    assert retry_after(header) == seconds


def test_retry_after_may_be_a_date() -> None:
    moment = datetime.now(UTC) + timedelta(seconds=100)
    assert 95 <= retry_after(format_datetime(moment, usegmt=True)) <= 101
