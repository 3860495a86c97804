"""Who asks: the address that a trusted proxy tells, and nobody else's word."""

from ipaddress import ip_network

import pytest
from aiohttp.test_utils import make_mocked_request
from multidict import CIMultiDict

from iiif_server.web.urls import PublicUrls

URLS = PublicUrls(None, (ip_network("10.0.0.0/8"), ip_network("::1/128")))


def request(remote, *forwarded):
    headers = [("X-Forwarded-For", value) for value in forwarded]
    return make_mocked_request("GET", "/", headers=CIMultiDict(headers)).clone(remote=remote)


@pytest.mark.parametrize(
    ("remote", "forwarded", "client"),
    [
        ("203.0.113.9", (), "203.0.113.9"),
        ("203.0.113.9", ("1.2.3.4",), "203.0.113.9"),
        ("10.0.0.1", (), "10.0.0.1"),
        ("10.0.0.1", ("1.2.3.4",), "1.2.3.4"),
        ("::1", ("2001:db8::7",), "2001:db8::7"),
        ("10.0.0.1", ("6.6.6.6, 1.2.3.4",), "1.2.3.4"),
        ("10.0.0.1", ("6.6.6.6, 1.2.3.4, 10.0.0.2",), "1.2.3.4"),
        ("10.0.0.1", ("6.6.6.6", "1.2.3.4, 10.0.0.2"), "1.2.3.4"),
        ("10.0.0.1", ("10.0.0.3, 10.0.0.2",), "10.0.0.3"),
        ("10.0.0.1", ("forged\n, 10.0.0.2",), "10.0.0.2"),
        ("10.0.0.1", ('fe80::1%" 200 forged, 10.0.0.2',), "10.0.0.2"),
        ("10.0.0.1", ("",), "10.0.0.1"),
        ("", ("1.2.3.4",), ""),
    ],
)
def test_client(remote, forwarded, client):
    assert URLS.client(request(remote, *forwarded)) == client


def test_without_proxies_nobody_is_believed():
    assert PublicUrls().client(request("127.0.0.1", "1.2.3.4")) == "127.0.0.1"
