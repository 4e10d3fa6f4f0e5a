"""Where the end of a job is announced, who signs it, and which addresses may be called."""

import base64
import binascii
import re
import socket
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr

Address = IPv4Address | IPv6Address

LONGEST_URL = 2000
SECRET_PREFIX = "whsec_"  # noqa: S105 (what secrets begin with)
#: What Standard Webhooks asks of a key.
FEWEST_KEY_BYTES, MOST_KEY_BYTES = 24, 64

_HOST_AND_PORT = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(:\d{1,5})?", re.IGNORECASE)
#: Written out because the answers of `ipaddress` differ between the releases of Python.
_NOT_PUBLIC_V4 = [
    IPv4Network(network)
    for network in (
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16",
        "172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "192.168.0.0/16",
        "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
    )
]  # fmt: skip
#: Everything public in IPv6 is in here, IPv4 in disguise (mapped, NAT64, …) is not …
_GLOBAL_UNICAST = IPv6Network("2000::/3")
#: … but for Teredo and other protocols, 6to4, and addresses for documentation.
_NOT_PUBLIC_V6 = [
    IPv6Network(network) for network in ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")
]


def is_public(address: Address) -> bool:
    """Whether the address belongs to the internet and not to this machine or its networks."""
    if isinstance(address, IPv4Address):
        return address.is_global and not any(address in network for network in _NOT_PUBLIC_V4)
    return (
        address in _GLOBAL_UNICAST
        and address.is_global
        and not any(address in network for network in _NOT_PUBLIC_V6)
    )


def names_private_host(url: str) -> bool:
    """Whether the URL itself, without asking any name server, leads to an address not public."""
    host = (urlsplit(url).hostname or "").rstrip(".")
    literal = _literal(host)
    if literal is not None:
        return not is_public(literal)
    return host == "localhost" or host.endswith(".localhost")


def _literal(host: str) -> Address | None:
    """The address that the host spells, also in old forms such as 127.1 and 0x7f000001."""
    try:
        return ip_address(host)
    except ValueError:
        pass
    try:
        return IPv4Address(socket.inet_aton(host))
    except OSError:
        return None


def _check_url(url: str) -> str:
    if not re.fullmatch(r"[!-\[\]-~]+", url):
        raise ValueError("must be visible ASCII characters, without a backslash")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ValueError(f"is not a URL: {error}") from None
    if parts.scheme not in ("http", "https"):
        raise ValueError("must begin with https:// or http://")
    if "@" in parts.netloc:
        raise ValueError("must not carry a user or a password")
    if not _HOST_AND_PORT.fullmatch(parts.netloc) or port == 0:
        raise ValueError("must name a host, and a port if it is not the usual one")
    if "#" in url:
        raise ValueError("must not have a fragment")
    return url


def signing_key(secret: str) -> bytes:
    """The key inside "whsec_<base64>".

    Raises:
        ValueError: saying what is wrong, without the secret.
    """
    if not secret.startswith(SECRET_PREFIX):
        raise ValueError(f"must begin with {SECRET_PREFIX}")
    encoded = secret.removeprefix(SECRET_PREFIX).rstrip("=")
    try:
        key = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise ValueError(f"must be base64 after {SECRET_PREFIX}") from None
    if not FEWEST_KEY_BYTES <= len(key) <= MOST_KEY_BYTES:
        raise ValueError(f"must hold {FEWEST_KEY_BYTES} to {MOST_KEY_BYTES} bytes, in base64")
    return key


def _check_secret(secret: SecretStr) -> SecretStr:
    signing_key(secret.get_secret_value())
    return secret


#: "whsec_" and 24 to 64 bytes in base64; shown by nothing that prints it.
WebhookSecret = Annotated[SecretStr, AfterValidator(_check_secret)]


class Webhook(BaseModel):
    """Where the end of a job is announced (Standard Webhooks 1.0)."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    url: Annotated[str, Field(max_length=LONGEST_URL), AfterValidator(_check_url)] = Field(
        description="http or https, without user and password; gets a POST when the job has ended"
    )
    secret: WebhookSecret | None = Field(
        None,
        description="whsec_ and 24 to 64 bytes in base64, which sign the messages; "
        "if left out, the service's own. No answer gives it back",
    )
