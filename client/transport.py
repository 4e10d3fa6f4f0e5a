"""HTTP with timeouts and retries; it knows nothing of jobs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.auth import AuthBase
from urllib3 import BaseHTTPResponse
from urllib3.exceptions import InvalidHeader, MaxRetryError
from urllib3.util import Retry

from client.errors import ApiError, ConnectionFailed, api_error

Timeout = float | tuple[float, float]

LONGEST_RETRY_AFTER_SECONDS = 60
RETRIED_STATUSES = frozenset({429, 502, 503, 504})
_THIS_MACHINE = ("localhost", "127.0.0.1", "::1")


class Transport:
    """Sends requests that may all be repeated without harm, and repeats them when need be."""

    def __init__(
        self, base_url: str, timeout: Timeout, retries: int, api_key: str | None = None
    ) -> None:
        self.base_url = _checked_url(base_url)
        self._connect, self._read = timeout if isinstance(timeout, tuple) else (timeout, timeout)
        self._retry = _patience(retries)
        self._session = requests.Session()
        # A proxy set for the world outside would be asked for this machine's own service.
        self._session.trust_env = urlsplit(self.base_url).hostname not in _THIS_MACHINE
        self._session.auth = _Bearer(api_key) if api_key else None
        self._session.headers.update({"Accept": "application/json", "User-Agent": "neuron-client"})

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def send(
        self,
        method: str,
        path: str,
        *,
        gone_after_retry: bool = False,
        retried: bool = True,
        **how: Any,
    ) -> requests.Response:
        """The answer, after retries; with ``gone_after_retry`` a retry's 404 is a success.

        The loop is here and not in urllib3, which takes an answer for whole once its headers
        have come: one whose body is cut short has to be asked for again too.
        """
        retry, response, failure = self._retry if retried else _patience(0), None, None
        while True:
            try:
                response, failure = self.once(method, path, **how), None
            except requests.RequestException as error:
                response, failure = None, error
            if response is not None and not retry.wanted(method, response.raw):
                break
            raw = None if response is None else response.raw
            try:
                retry = retry.increment(method, path, response=raw, error=failure)
            except MaxRetryError:
                break
            retry.sleep(raw)
        if response is None:
            raise ConnectionFailed(self.base_url, _reason(failure)) from failure
        gone = gone_after_retry and retry.history and response.status_code == 404
        if response.is_redirect or not (response.ok or gone):
            raise _refusal(response)
        return response

    def once(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, object] | None = None,
        query: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        patience: float = 0,
        stream: bool = False,
    ) -> requests.Response:
        """The answer, whatever it is; ``patience`` adds seconds to the timeout for reading.

        With ``stream``, the body is still to be read.
        """
        data = None if body is None else json.dumps(body, allow_nan=False).encode()
        return self._session.request(
            method,
            self.base_url + path,
            params=query,
            data=data,
            headers={**(headers or {}), **({"Content-Type": "application/json"} if data else {})},
            timeout=(self._connect, self._read + patience),
            allow_redirects=False,
            stream=stream,
        )


class _Bearer(AuthBase):
    """The key of each request; as `auth`, because .netrc would overrule a mere header."""

    def __init__(self, api_key: str) -> None:
        if not all("!" <= letter <= "~" for letter in api_key):
            raise ValueError("An API key is made of visible ASCII characters, without spaces.")
        self._value = f"Bearer {api_key}"

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = self._value
        return request


class _Patience(Retry):
    """urllib3's pauses, but a Retry-After that cannot be read counts as none."""

    def get_retry_after(self, response: BaseHTTPResponse) -> float | None:
        try:
            return super().get_retry_after(response)
        except InvalidHeader:
            return None

    def wanted(self, method: str, response: BaseHTTPResponse) -> bool:
        """Whether to ask again, which is not when told to wait for longer than anyone would."""
        asked = self.get_retry_after(response)
        if asked is not None and asked > LONGEST_RETRY_AFTER_SECONDS:
            return False
        return self.is_retry(method, response.status, asked is not None)


def _patience(retries: int) -> _Patience:
    return _Patience(
        total=retries,
        allowed_methods=None,
        status_forcelist=RETRIED_STATUSES,
        backoff_factor=0.1,
        backoff_jitter=0.1,
    )


def _checked_url(url: str) -> str:
    try:
        parts = urlsplit(url)
        fits = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        fits = False
    if not fits:
        raise ValueError(f"{url!r} is not a URL such as http://127.0.0.1:8000.")
    return url.rstrip("/")


def _refusal(response: requests.Response) -> ApiError:
    try:
        problem = response.json()
    except ValueError:
        problem = None
    if response.is_redirect:
        problem = {"detail": f"The service has moved to {response.headers['Location']}."}
    retry_after = _patience(0).get_retry_after(response.raw)
    return api_error(response.status_code, response.reason or "", problem, retry_after)


def _reason(failure: BaseException | None) -> str:
    """The operating system's own words, from under the libraries' wrappings."""
    if isinstance(failure, requests.Timeout):
        return "timed out"
    while failure is not None:
        if isinstance(failure, OSError) and failure.strerror:
            return failure.strerror.lower()
        failure = failure.__cause__ or failure.__context__
    return "the connection was lost"
