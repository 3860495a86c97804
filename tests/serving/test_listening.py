"""The sockets that the server listens on."""

import socket

import pytest

from iiif_server.errors import ConfigurationError
from iiif_server.serving.listening import announce, listen


def test_a_free_port(capsys):
    (sock,) = listen("127.0.0.1", 0)
    with sock:
        announce([sock])
        host, port = sock.getsockname()
        with socket.create_connection((host, port), timeout=5):  # who comes early waits
            pass

    assert capsys.readouterr().out == f"iiif-server is ready: http://127.0.0.1:{port}/\n"


def test_every_address_of_a_name_has_the_same_port():
    sockets = listen("localhost", 0)
    for sock in sockets:
        sock.close()
    assert sockets

    sockets = listen("localhost", 0)
    ports = {sock.getsockname()[1] for sock in sockets}
    for sock in sockets:
        sock.close()
    assert len(ports) == 1
    assert 0 not in ports


def test_ipv6_addresses_are_announced_in_brackets(capsys):
    try:
        sockets = listen("::1", 0)
    except ConfigurationError:
        pytest.skip("no IPv6 on this machine")
    with sockets[0]:
        announce(sockets)

    assert "http://[::1]:" in capsys.readouterr().out


@pytest.mark.parametrize("host", ["no.such.host.invalid", "192.0.2.1"])
def test_an_address_of_somebody_else(host):
    with pytest.raises(ConfigurationError, match=rf"Can't listen on {host} port 0: \w"):
        listen(host, 0)


def test_a_port_that_is_taken_is_named():
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(ConfigurationError, match=f"127.0.0.1 port {port}: Address already in use"):
            listen("127.0.0.1", port)
