"""Which addresses may be connected to."""

from ipaddress import ip_network

import pytest
from iiif_server_http.addresses import is_allowed

PUBLIC = [
    *("8.8.8.8", "1.1.1.1", "100.63.255.255", "100.128.0.0", "172.15.0.1", "172.32.0.1", "223.255.255.255"),
    *("2606:4700:4700::1111", "2a00:1450::1", "2001:4860::8888"),
    *("::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::1", "::8.8.8.8", "2a00::5efe:808:808"),
]

FORBIDDEN = [
    *("0.0.0.0", "0.1.2.3", "127.0.0.1", "127.255.255.254", "10.0.0.1", "172.16.0.1", "172.31.255.255"),
    *("192.168.0.1", "100.64.0.1", "100.127.255.255", "169.254.169.254", "192.0.0.8", "192.0.2.1"),
    *("198.18.0.1", "198.19.255.255", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.255"),
    *("240.0.0.1", "255.255.255.255", "192.88.99.1"),
    *("::", "::1", "fe80::1", "fe80::1%eth0", "febf::1", "fec0::1", "fc00::1", "fd12:3456::1", "ff02::1"),
    *("2001:db8::1", "2001::1", "2001:10::1", "3fff::1", "100::1", "5f00::1", "4000::1", "64:ff9b:1::1"),
    # IPv4 in IPv6: mapped, translated, compatible, NAT64, 6to4, ISATAP, Teredo.
    *("::ffff:127.0.0.1", "::ffff:7f00:1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::ffff:0.0.0.0"),
    *("::ffff:0:127.0.0.1", "::127.0.0.1", "::a9fe:a9fe", "64:ff9b::127.0.0.1", "64:ff9b::a9fe:a9fe"),
    *("2002:7f00:1::1", "2002:a00:1::", "2002:a9fe:a9fe::1", "2002:6440:1::"),
    *("2a00::5efe:127.0.0.1", "2a00::200:5efe:a00:1", "fe80::5efe:808:808"),
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",
]


@pytest.mark.parametrize("address", PUBLIC)
def test_the_public_internet_is_allowed(address):
    assert is_allowed(address)


@pytest.mark.parametrize("address", FORBIDDEN)
def test_all_else_is_forbidden(address):
    assert not is_allowed(address)


@pytest.mark.parametrize(
    "address", ["10.1.2.3", "::ffff:10.1.2.3", "64:ff9b::a01:203", "2002:a01:203::", "fd00::1"]
)
def test_the_operator_may_allow_networks(address):
    networks = [ip_network("10.1.2.0/24"), ip_network("fd00::/64")]

    assert is_allowed(address, networks)
    assert not is_allowed(address, networks[:0])
    assert not is_allowed("10.1.3.1", networks)
    assert not is_allowed("::ffff:127.0.0.1", networks)


@pytest.mark.parametrize(
    "text", ["", "localhost", "127.1", "2130706433", "0x7f.0.0.1", "0177.0.0.1", "1.2.3"]
)
def test_only_numbers_in_their_usual_form_are_addresses(text):
    with pytest.raises(ValueError, match=r"IPv4|address"):
        is_allowed(text)
