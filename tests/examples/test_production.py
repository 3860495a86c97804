"""The files of examples/production agree with the commands, the configuration, the set-up and each other."""

import re
import shlex
import shutil
import subprocess
import sysconfig
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from dockerfile_parse import DockerfileParser
from ruamel.yaml import YAML

from iiif_server.cli.main import build_parser
from iiif_server.config.load import load_config
from iiif_server.config.model import Config, ServerSettings
from iiif_server.profiles.disk import DiskOptions
from iiif_server.profiles.options import parse_byte_size
from iiif_server.testing.processes import STOP_DEADLINE
from tests.support.paths import REPOSITORY

EXAMPLE = REPOSITORY / "examples" / "production"
CONFIG_FILE = "/etc/iiif-server/config.yaml"
LEFT_OUT = {
    "base_url": "said in a comment: nginx tells the address with each request",
    "default_api_version": "viewers read both; a matter of the collection, not of running it",
    "min_sizes_size": "how info.json looks",
    "thumbnail_width": "how images look",
    "preview_width": "how images look",
}


@pytest.fixture(scope="module")
def config() -> Config:
    return load_config(EXAMPLE / "config.yaml", {"disk": DiskOptions}, {})


@pytest.fixture(scope="module")
def unit() -> dict[str, list[str]]:
    """Every value of each key of the unit, in order."""
    values: dict[str, list[str]] = {}
    for line in (EXAMPLE / "iiif-server.service").read_text().splitlines():
        if line and line[0] not in "#[":
            key, _, value = line.partition("=")
            values.setdefault(key, []).append(value)
    return values


@pytest.fixture(scope="module")
def dockerfile(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, str]]:
    """Every instruction."""
    copy = tmp_path_factory.mktemp("docker") / "Dockerfile"  # the parser opens it for writing
    shutil.copy(EXAMPLE / "Dockerfile", copy)
    structure: list[dict[str, str]] = DockerfileParser(str(copy)).structure
    return structure


@pytest.fixture(scope="module")
def stages(dockerfile: list[dict[str, str]]) -> tuple[str, str]:
    """What the first and the second stage run."""
    starts = [number for number, one in enumerate(dockerfile) if one["instruction"] == "FROM"]
    assert len(starts) == 2
    build, final = (
        "\n".join(one["value"] for one in part if one["instruction"] == "RUN")
        for part in (dockerfile[: starts[1]], dockerfile[starts[1] :])
    )
    return build, final


def instruction(dockerfile: list[dict[str, str]], name: str) -> str:
    """The last of its kind."""
    return [one["value"] for one in dockerfile if one["instruction"] == name][-1]


def packages(text: str, command: str) -> set[str]:
    """What a command installs, without its options and redirections."""
    text = re.sub(r"\s[0-9]?>\S+", "", text)
    found = re.findall(rf"{command}((?: +(?:-\S+|[A-Za-z0-9.$'\"\[\],>=-]+))+)", text)
    words = [word for part in found for word in shlex.split(part)]
    return {word for word in words if not word.startswith("-")}


def commands(unit: dict[str, list[str]]) -> Iterator[list[str]]:
    """Our own commands in the unit."""
    for key in ("ExecStartPre", "ExecStart", "ExecReload"):
        for line in unit[key]:
            program, *arguments = shlex.split(line)
            if Path(program).name == "iiif-server":
                yield arguments


def test_the_configuration_has_every_key_that_an_operator_needs(config: Config) -> None:
    """A new key is put into the example, or into the list of those that are not, with the reason."""
    given = set(YAML(typ="safe").load((EXAMPLE / "config.yaml").read_text()))

    assert set(ServerSettings.model_fields) - given == set(LEFT_OUT)
    assert "base_url" in (EXAMPLE / "config.yaml").read_text()
    assert config.profiles["herbarium"].options.cache_for > 0  # else nginx keeps nothing


def test_the_unit_runs_commands_that_there_are(unit: dict[str, list[str]]) -> None:
    """With options of ours, and the same configuration in all."""
    for arguments in commands(unit):
        build_parser().parse_args(arguments)
        assert CONFIG_FILE in arguments
    (start,) = unit["ExecStart"]

    assert shlex.split(start)[1] == "serve"
    assert [shlex.split(line)[1:3] for line in unit["ExecStartPre"]] == [["config", "check"]]


def test_a_reload_checks_first_and_then_sends_the_signal(unit: dict[str, list[str]]) -> None:
    check, signal = unit["ExecReload"]

    assert shlex.split(check)[1:3] == ["config", "check"]
    assert signal == "/bin/kill -HUP $MAINPID"


def test_the_units_limits_fit_the_configuration(unit: dict[str, list[str]], config: Config) -> None:
    """Memory for every worker at its largest, the server itself and its cache; time to end in."""
    needed = (
        config.image_pool_size * config.image_worker_max_memory + config.memory_cache_size + 150 * 1024**2
    )

    assert parse_byte_size(unit["MemoryMax"][0].replace("G", " GiB")) >= needed
    assert int(unit["TimeoutStopSec"][0]) > STOP_DEADLINE
    assert Path("/var/cache") / unit["CacheDirectory"][0] == config.cache_path
    assert unit["ProtectSystem"] == ["strict"]


def test_systemd_finds_no_fault_with_the_unit(unit: dict[str, list[str]], tmp_path: Path) -> None:
    analyze = shutil.which("systemd-analyze")
    if analyze is None:
        pytest.skip("systemd-analyze is not installed")
    text = (EXAMPLE / "iiif-server.service").read_text()
    copy = tmp_path / "iiif-server.service"
    copy.write_text(text.replace("/opt/iiif-server/bin/", sysconfig.get_path("scripts") + "/"))
    done = subprocess.run(
        [analyze, "verify", "--man=no", str(copy)], capture_output=True, text=True, timeout=60, check=False
    )

    assert [line for line in done.stderr.splitlines() if "iiif-server.service" in line] == []
    assert done.returncode == 0


def test_the_image_is_built_by_the_steps_of_the_set_up(stages: tuple[str, str]) -> None:
    """The same system packages, and jpegtran-cffi as scripts/install-jpegtran builds it."""
    build, final = stages
    setup = (REPOSITORY / "scripts" / "setup").read_text()
    jpegtran = (REPOSITORY / "scripts" / "install-jpegtran").read_text()
    page = (REPOSITORY / "docs" / "how-to" / "lossless-jpeg.md").read_text()
    # The image of Python has its own headers.
    wanted = packages(setup, "install_packages 'lossless JPEG transforms'") - {"$version-dev"}

    assert packages(build, "apt-get install") == wanted
    assert wanted >= {"gcc", "libturbojpeg0-dev"}
    assert packages(build, "pip install") - {"pip>=25.1"} == packages(jpegtran, "pip install") - {
        "jpegtran-cffi"
    }
    assert "--no-build-isolation jpegtran-cffi" in build
    assert packages(final, "apt-get install") == set(re.findall(r"`(lib[a-z0-9-]+)`", page))


def test_the_image_has_what_the_package_needs(
    dockerfile: list[dict[str, str]], stages: tuple[str, str]
) -> None:
    """Everything that hatchling puts into the wheel is copied; the extras are ours."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
    copied = [
        word for one in dockerfile if one["instruction"] == "COPY" for word in one["value"].split()[:-1]
    ]
    wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]["only-include"]
    needed = ["pyproject.toml", project["project"]["readme"], *project["project"]["license-files"], *wheel]

    for path in needed:
        assert any(path == one or path.startswith(f"{one}/") for one in copied), path
    assert [path for path in copied if not (REPOSITORY / path).exists()] == []
    (extras,) = set(re.findall(r"'(?:\.|iiif-server)\[([a-z,]+)\]'", "".join(stages)))
    assert set(extras.split(",")) <= set(project["project"]["optional-dependencies"])


def test_the_image_runs_the_server_as_nobody_special(dockerfile: list[dict[str, str]]) -> None:
    command = YAML(typ="safe").load(instruction(dockerfile, "CMD"))
    arguments = build_parser().parse_args(command)

    assert arguments.config == Path(CONFIG_FILE)
    assert re.fullmatch(r"[1-9][0-9]+:[1-9][0-9]+", instruction(dockerfile, "USER"))
    assert f"127.0.0.1:{arguments.port}/health" in instruction(dockerfile, "HEALTHCHECK")
    assert instruction(dockerfile, "EXPOSE") == str(arguments.port)


def test_the_services_fit_together(config: Config) -> None:
    """Every file that is mounted lies here, at the place that its reader looks at."""
    compose = YAML(typ="safe").load((EXAMPLE / "compose.yaml").read_text())
    server, nginx = compose["services"]["iiif-server"], compose["services"]["nginx"]
    mounts = dict(volume.split(":")[:2] for volume in server["volumes"] + nginx["volumes"])
    arguments = build_parser().parse_args(server["command"])

    assert (EXAMPLE / server["build"]["context"]).resolve() == REPOSITORY
    assert (REPOSITORY / server["build"]["dockerfile"]).is_file()
    assert mounts["./config.yaml"] == str(arguments.config) == CONFIG_FILE
    assert (mounts["./images"], mounts["cache"]) == (str(config.source_path), str(config.cache_path))
    assert mounts["./nginx.conf"] == "/etc/nginx/nginx.conf"
    assert f"server {arguments.host}:{arguments.port};" in (EXAMPLE / "nginx.conf").read_text()
    assert nginx["network_mode"] == "service:iiif-server"
    assert set(compose["volumes"]) == {name for name in mounts if not name.startswith("./")}
    for place in (mounts["./tls"], mounts["proxy-cache"]):
        assert f" {place}/" in (EXAMPLE / "nginx.conf").read_text()
