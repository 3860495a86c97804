"""The servers: how each is started, what it reads, and how its addresses are made."""

import os
import pwd
import shutil
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from benchmarks.peers import install
from benchmarks.peers.running import Running
from benchmarks.peers.sources import Source

from iiif_server.config.model import Config

HERE = Path(__file__).parent
IIPSRV = Path("/usr/lib/iipimage-server/iipsrv.fcgi")
NGINX = shutil.which("nginx", path=os.environ.get("PATH", "") + os.pathsep + "/usr/sbin")
USER = pwd.getpwuid(os.geteuid()).pw_name
EVERY = frozenset({"J1", "J2", "T2", "P1", "JP2", "GIGA", "SMALL"})
QUALITIES = (60, 65, 70, 75, 80, 85, 90, 95)
"""Of the profiles ``q60``… of our server, which tell how good its JPEGs are at any number of bytes."""

CONFIG = """\
cache_path: {scratch}/cache
default_profile: files
image_pool_size: 2
jpeg_subsampling: "4:2:0"
jpeg_quality: 75
{more}
profiles:
  files: {{type: disk, path: {images}, rights: "http://example.org/rights"}}
"""
OF_QUALITY = '  q{0}: {{type: disk, path: {1}, rights: "http://example.org/rights", jpeg_quality: {0}}}\n'

NGINX_CONFIG = """\
daemon off; worker_processes 1; pid {scratch}/nginx.pid; error_log {scratch}/nginx.log; user {user};
events {{ worker_connections 512; }}
http {{
  access_log off; keepalive_requests 1000000; default_type image/jpeg;
  client_body_temp_path {scratch}/t1; proxy_temp_path {scratch}/t2; fastcgi_temp_path {scratch}/t3;
  uwsgi_temp_path {scratch}/t4; scgi_temp_path {scratch}/t5;
  server {{ listen 127.0.0.1:{port}; {location} }}
}}
"""
# An iipsrv process serves one connection at a time: connections that are kept open would keep others waiting.
FASTCGI = """
    location ~ ^/iiif/(.*)$ {{
      fastcgi_pass 127.0.0.1:{port}; fastcgi_buffers 64 16k; fastcgi_read_timeout 120s;
      fastcgi_param QUERY_STRING "IIIF=$1"; fastcgi_param REQUEST_METHOD $request_method;
      fastcgi_param HTTP_HOST $http_host; fastcgi_param SERVER_PROTOCOL $server_protocol;
      fastcgi_param REQUEST_URI $request_uri;
    }}
"""


@dataclass(frozen=True)
class Server:
    """A kind of server.

    Attributes:
        name: in the tables.
        settings: what a reader must know of how it runs.
        start: begins its processes.
        prefix: of its addresses, up to the identifier.
        reads: the names of the sources that it can read.
        suffixed: whether identifiers are file names with their suffix.
        maximum: how it calls the full size.
        prepare: installs what it needs; its text says why it can't run here, if it can't.
        told_version: of what is installed.
    """

    name: str
    settings: str
    start: Callable[[Running], None]
    prefix: str = "/"
    reads: frozenset[str] = EVERY
    suffixed: bool = True
    maximum: str = "max"
    prepare: Callable[[Path], str | None] = lambda _: None
    told_version: Callable[[Path], str] = lambda _: ""

    def base(self, source: Source) -> str:
        """What the paths of an image begin with, with the slash at its end."""
        return f"{self.prefix}{source.file if self.suffixed else Path(source.file).stem}/"


def ours(processes: int, more: tuple[str, ...] = ()) -> Server:
    """This server, with two workers in all; pyramids are made on demand where there are pyramids."""
    lines = list(more)
    if "pyramids" in Config.model_fields and not any(line.startswith("pyramids:") for line in more):
        lines.append("pyramids: on_demand")

    def start(running: Running) -> None:
        config = running.scratch / "config.yaml"
        text = CONFIG.format(scratch=running.scratch, images=running.images, more="\n".join(lines))
        config.write_text(text + "".join(OF_QUALITY.format(each, running.images) for each in QUALITIES))
        command = ("-m", "iiif_server", "serve", "--config", str(config), "--host", "127.0.0.1")
        running.spawn(sys.executable, *command, "--port", str(running.port), "--processes", str(processes))

    workers = "two workers" if processes == 1 else "a worker each"
    return Server(
        f"ours-{processes}",
        f"{processes} process{'es' if processes > 1 else ''}, {workers}; JPEG quality 75, 4:2:0"
        + "".join(f"; {line}" for line in lines),
        start,
        told_version=lambda _: version("iiif-server"),
    )


def start_nginx(running: Running, location: str) -> None:
    """An nginx of one worker process with this location."""
    assert NGINX is not None
    file = running.scratch / "nginx.conf"
    file.write_text(
        NGINX_CONFIG.format(scratch=running.scratch, user=USER, port=running.port, location=location)
    )
    log = str(running.scratch / "nginx.log")
    running.scratch.chmod(0o755)
    running.spawn(NGINX, "-p", str(running.scratch), "-c", str(file), "-e", log)


def _start_iipimage(running: Running) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=1024) as listening:
        for _ in range(2):
            running.spawn(
                str(IIPSRV),
                stdin=listening.fileno(),
                FILESYSTEM_PREFIX=f"{running.images}/",
                MAX_CVT="20000",
                VERBOSITY="0",
                LOGFILE="/dev/null",
                OMP_NUM_THREADS="1",
            )
        start_nginx(running, FASTCGI.format(port=listening.getsockname()[1]))


def _start_iiif_processor(running: Running) -> None:
    running.spawn(
        shutil.which("node") or "node",
        str(HERE / "iiif_processor.mjs"),
        IMAGES=str(running.images),
        MODULES=str(running.installed / "iiif-processor"),
        PORT=str(running.port),
        WORKERS="2",
    )


def _start_reference(running: Running) -> None:
    binaries = running.installed / "iiif" / "bin"
    running.spawn(
        *(str(binaries / "python"), str(binaries / "iiif_testserver.py"), "--host", "127.0.0.1"),
        *("--port", str(running.port), "--image-dir", str(running.images), "--api-versions", "2.1"),
        *("--manipulators", "pil", "--auth-types", "none", "--quiet"),
    )


PEERS = (
    Server(
        "IIPImage",
        "Debian's; nginx before two iipsrv processes on one listening socket, OMP_NUM_THREADS=1, "
        "tile cache and JPEG quality (75) as shipped",
        _start_iipimage,
        prefix="/iiif/",
        reads=frozenset({"T2", "JP2", "GIGA", "SMALL"}),
        prepare=lambda _: None if IIPSRV.exists() and NGINX else "iipimage-server or nginx is not installed",
        told_version=lambda _: install.debian_version("iipimage-server"),
    ),
    Server(
        "iiif-processor",
        "npm's; Node, two cluster workers, files as streams, a dimensionFunction that remembers sizes, "
        "JPEG quality as it comes (80)",
        _start_iiif_processor,
        prefix="/iiif/3/",
        reads=frozenset({"J1", "J2", "T2", "P1"}),
        prepare=install.iiif_processor,
        told_version=install.iiif_processor_version,
    ),
    Server(
        "iiif",
        "the reference implementation from PyPI, its test server with Pillow: one process, threads",
        _start_reference,
        prefix="/2.1_pil/",
        suffixed=False,
        maximum="full",
        prepare=install.reference,
        told_version=install.reference_version,
    ),
)
