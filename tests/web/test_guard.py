"""The checks of requests that come through a proxy which checks logins, such as Home Assistant's ingress."""

import pytest

from genrewatch.contract.errors import ConfigError
from genrewatch.sinks.web.config import WebConfig
from genrewatch.sinks.web.guard import Guard, Refused

PROXY = "172.30.32.2"


def request(peer: str, method: str = "GET", **headers: str) -> dict[str, str]:
    given = {f"HTTP_{name.upper()}": value for name, value in headers.items()}
    return {"REMOTE_ADDR": peer, "REQUEST_METHOD": method, "HTTP_HOST": "home.example.org", **given}


def guard(**settings: str) -> Guard:
    return Guard(WebConfig(host="0.0.0.0", proxy=PROXY, **settings).with_environment({}))


def test_the_proxy_may_use_any_name_without_a_password() -> None:
    guard(password="secret").check(request(PROXY))
    own = {"origin": "https://home.example.org", "x_genrewatch": "1"}
    guard().check(request(PROXY, "POST", **own))


def test_other_machines_may_not_connect_beside_the_proxy() -> None:
    with pytest.raises(Refused, match=r"only the proxy 172\.30\.32\.2 may connect"):
        guard().check(request("172.30.33.9"))


def test_this_machine_is_checked_as_without_a_proxy() -> None:
    guard().check({**request("127.0.0.1"), "HTTP_HOST": "127.0.0.1:8710"})
    with pytest.raises(Refused, match="unknown host"):
        guard().check(request("127.0.0.1"))


def test_a_foreign_page_cannot_write_through_the_proxy() -> None:
    with pytest.raises(Refused, match="may not write here"):
        guard().check(request(PROXY, "POST", origin="https://evil.example", x_genrewatch="1"))


def test_the_proxy_is_an_address() -> None:
    with pytest.raises(ConfigError, match="an IP address"):
        WebConfig(proxy="supervisor")
