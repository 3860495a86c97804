"""What can't be started says why in a line, with a code that is not 0, and leaves nothing."""

import socket
from pathlib import Path

import pytest

from tests.chaos.site import Site
from tests.support.server import ServerFactory, free_port, serve_command

pytestmark = [pytest.mark.e2e, pytest.mark.chaos]

_PROFILE = "profiles: {a: {type: disk, rights: 'https://example.org/r'%s}}\n"
MISTAKES = {
    "unknown key": ("bas_url: https://example.org\n", "bas_url"),
    "wrong type": ("image_pool_size: many\n", "image_pool_size"),
    "negative": ("image_pool_size: -1\n", "image_pool_size"),
    "not YAML": ("base_url: [\n", ""),
    "not text": ("base_url: \x00\x01\n", ""),
    "unknown profile type": (_PROFILE.replace("disk", "dsk") % "", "dsk"),
    "no profiles": ("base_url: https://example.org\n", "profiles"),
    "unknown option": (_PROFILE % ", pth: x", "pth"),
}


def test_broken_configurations(server: ServerFactory, tmp_path: Path) -> None:
    """A mistake in the configuration ends the server at once; it names the file and the key."""
    files = {}
    for number, (mistake, (text, _)) in enumerate(MISTAKES.items()):
        files[mistake] = tmp_path / f"broken-{number}.yaml"
        files[mistake].write_text(text)
    files["missing"] = tmp_path / "absent.yaml"
    ended = {mistake: server.started(serve_command("--config", str(path))) for mistake, path in files.items()}
    ended["no directory"] = server.started(serve_command(str(tmp_path / "absent")))

    for mistake, process in ended.items():
        assert process.wait() == 1, mistake
        assert "Traceback" not in process.output()
        assert files.get(mistake, Path("absent")).name in process.output()
        assert MISTAKES.get(mistake, ("", ""))[1] in process.output()
        assert len(process.output().splitlines()) <= 3


@pytest.mark.parametrize("processes", ["1", "2"])
def test_port_is_taken(server: ServerFactory, site: Site, processes: str) -> None:
    """A port that somebody else has is named, and no worker is left."""
    port = free_port()
    with socket.create_server(("127.0.0.1", port)):
        ended = server.started(serve_command(str(site.images), "--processes", processes, port=port))
        code = ended.wait()

    assert code == 1
    assert str(port) in ended.output()
    assert "Traceback" not in ended.output()
    assert ended.tree() == []
