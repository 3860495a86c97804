"""A place to install packages in, which sees everything that this environment has."""

import importlib.util
import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

from tests.support.server import ServerFactory

NEEDED = ("hatchling", "editables", "pip")
CURL = """\
#!/bin/sh
exec "$(dirname "$0")/python" -c '
import sys, urllib.request
*options, url = sys.argv[1:]
body = urllib.request.urlopen(url, timeout=20).read()
out = open(options[-1], "wb") if "-o" in options else sys.stdout.buffer
out.write(body)
' "$@"
"""


class Workshop:
    """A directory with an environment of its own, in which commands are run."""

    def __init__(self, directory: Path, servers: ServerFactory) -> None:
        self.directory = directory
        self.servers = servers
        environment = directory.parent / "environment"
        venv.EnvBuilder(symlinks=True).create(environment)
        self.bin = environment / "bin"
        inherited = sysconfig.get_path("purelib")
        site_packages = sysconfig.get_path("purelib", vars={"base": str(environment)})
        Path(site_packages, "inherited.pth").write_text(f"import site; site.addsitedir({inherited!r})\n")
        for command, module in (("pip", "pip"), ("pytest", "pytest"), ("iiif-server", "iiif_server")):
            self._add(command, f'#!/bin/sh\nexec "$(dirname "$0")/python" -m {module} "$@"\n')
        if not shutil.which("curl"):
            self._add("curl", CURL)
        self.env = {
            "PATH": f"{self.bin}{os.pathsep}{os.environ['PATH']}",
            "PIP_NO_DEPS": "1",
            "PIP_NO_BUILD_ISOLATION": "0",  # as pip reads it: no isolation
            "PIP_QUIET": "1",
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
            "PIP_ROOT_USER_ACTION": "ignore",
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTEST_ADDOPTS": "-p no:cacheprovider",
            "COLUMNS": "80",
        }

    def run(self, command: str, timeout: float = 100) -> subprocess.CompletedProcess[str]:
        """Run a line of shell; what it says on both streams comes back together."""
        return subprocess.run(
            command,
            shell=True,
            cwd=self.directory,
            env={**os.environ, **self.env},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=timeout,
            check=False,
        )

    def serve(self, command: str) -> str:
        """Run a command that serves, on a free port, until the test ends; the address comes back."""
        line = f"cd {shlex.quote(str(self.directory))} && exec {self.bin}/{command} --port 0"
        script = f"import os; os.execvp('sh', ['sh', '-c', {line!r}])"
        return self.servers.command(["-c", script], self.env).url

    def _add(self, name: str, script: str) -> None:
        (self.bin / name).unlink(missing_ok=True)
        (self.bin / name).write_text(script)
        (self.bin / name).chmod(0o755)


@pytest.fixture
def workshop(tmp_path: Path, server: ServerFactory) -> Workshop:
    """Needs what builds packages: ``tox -e plugins`` has it."""
    if missing := [name for name in NEEDED if importlib.util.find_spec(name) is None]:
        pytest.skip(f"not installed here: {', '.join(missing)}; tox -e plugins has it")
    assert sys.prefix
    (tmp_path / "workshop").mkdir()
    return Workshop(tmp_path / "workshop", server)
