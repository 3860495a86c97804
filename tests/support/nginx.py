"""A real nginx with the configuration of the example, with its paths, ports and user replaced."""

import contextlib
import http.client
import os
import pwd
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.support.paths import REPOSITORY
from tests.support.server import free_port

NGINX = shutil.which("nginx", path=os.environ.get("PATH", "") + os.pathsep + "/usr/sbin")
OPENSSL = shutil.which("openssl")
HOST = "images.example.org"
EXAMPLE = REPOSITORY / "examples" / "production" / "nginx.conf"
START_DEADLINE = 20.0


@dataclass(frozen=True)
class Answer:
    """What came back, its body as it was sent."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def cache(self) -> str | None:
        """What nginx's cache had to do with it."""
        value: str | None = self.headers["X-Cache-Status"]
        return value


@dataclass(frozen=True)
class Nginx:
    """A running nginx.

    Attributes:
        port: that it speaks TLS on.
        plain_port: that it redirects from.
    """

    port: int
    plain_port: int
    certificate: Path

    def ask(self, path: str, method: str = "GET", *, source: str = "127.0.0.1", **headers: str) -> Answer:
        """Send a request for the raw path below the host.

        Args:
            path: percent-encoded.
            method: of the request.
            source: the address to send from.
            headers: underscores in their names stand for hyphens.
        """
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        connection.sock = self.secured(HOST, source)
        return _answer(connection, method, path, {"Host": HOST} | headers)

    def ask_plainly(self, path: str, host: str = HOST) -> Answer:
        """Send a request without TLS."""
        connection = http.client.HTTPConnection("127.0.0.1", self.plain_port, timeout=30)
        return _answer(connection, "GET", path, {"Host": host})

    def secured(self, host: str, source: str = "127.0.0.1") -> ssl.SSLSocket:
        """A connection over which this host was asked for."""
        context = ssl.create_default_context(cafile=self.certificate)
        plain = socket.create_connection(("127.0.0.1", self.port), timeout=30, source_address=(source, 0))
        try:
            return context.wrap_socket(plain, server_hostname=host)
        except BaseException:
            plain.close()
            raise


def _answer(
    connection: http.client.HTTPConnection, method: str, path: str, headers: dict[str, str]
) -> Answer:
    try:
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        for name, value in headers.items():
            connection.putheader(name.replace("_", "-"), value)
        connection.endheaders()
        response = connection.getresponse()
        return Answer(response.status, response.headers, response.read())
    finally:
        connection.close()


def configured(directory: Path, server_port: int, port: int, plain_port: int) -> str:
    """The example's text for this directory and these ports."""
    text = EXAMPLE.read_text()
    for theirs, ours in {
        "user www-data;": f"user {pwd.getpwuid(os.geteuid()).pw_name};",
        "pid /run/": f"pid {directory}/",
        "/var/log/nginx/": f"{directory}/",
        "/var/cache/nginx/": f"{directory}/",
        "/etc/nginx/tls/": f"{directory}/",
        "listen 443 ": f"listen 127.0.0.1:{port} ",
        "listen 80": f"listen 127.0.0.1:{plain_port}",
        "server 127.0.0.1:8182;": f"server 127.0.0.1:{server_port};",
    }.items():
        assert theirs in text, theirs
        text = text.replace(theirs, ours)
    return text


@contextlib.contextmanager
def running_nginx(directory: Path, server_port: int) -> Iterator[Nginx]:
    """Run nginx in front of a server until the block ends."""
    assert NGINX is not None
    directory.mkdir()
    nginx = Nginx(free_port(), free_port(), directory / f"{HOST}.pem")
    _make_certificate(directory)
    file = directory / "nginx.conf"
    file.write_text(configured(directory, server_port, nginx.port, nginx.plain_port))
    with (directory / "output.txt").open("wb") as output:
        command = [NGINX, "-p", str(directory), "-c", str(file), "-e", str(directory / "early.log")]
        process = subprocess.Popen([*command, "-g", "daemon off;"], stdout=output, stderr=output)
        try:
            _wait(process, nginx.plain_port, directory)
            yield nginx
        finally:
            process.terminate()
            process.wait(20)


def _make_certificate(directory: Path) -> None:
    assert OPENSSL is not None
    files = ["-keyout", f"{directory}/{HOST}.key", "-out", f"{directory}/{HOST}.pem"]
    names = ["-subj", f"/CN={HOST}", "-addext", f"subjectAltName=DNS:{HOST}"]
    kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    command = [OPENSSL, "req", "-x509", *kind, *names, *files]
    subprocess.run(command, check=True, capture_output=True, timeout=60)


def _wait(process: subprocess.Popen[bytes], port: int, directory: Path) -> None:
    deadline = time.monotonic() + START_DEADLINE
    while process.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port), 5):
            return
        time.sleep(0.05)
    told = "\n".join(path.read_text() for path in directory.iterdir() if path.suffix in (".txt", ".log"))
    raise AssertionError(f"nginx did not start: {told}")
