"""Configurations that are right, and files that are none."""

import os
from collections.abc import Callable
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from iiif_server.config.load import DIRECTORY_RIGHTS, directory_config, load_config
from iiif_server.config.model import Config, ConfiguredProfile
from iiif_server.errors import ConfigurationError
from iiif_server.iiif.ladder import Limits
from iiif_server.iiif.links import Links
from iiif_server.iiif.parameters import Format
from iiif_server.imaging.tasks import RenderSettings
from iiif_server.profiles.derivatives import effective
from iiif_server.profiles.options import ProfileOptions

from .conftest import DiskOptions, StoreOptions

Load = Callable[..., Config]
Models = dict[str, type[ProfileOptions]]

DISK = "profiles: {a: {type: disk, rights: x}}\n"

README_KEYS = {
    "min_sizes_size": 200,
    "image_pool_size": 2,
    "image_cache_size_per_process": 5,
    "thumbnail_width": 512,
    "preview_width": 2048,
    "download_chunk_size": 4096,
    "download_max_files": 20,
}
NEW_KEYS = {
    "base_url": None,
    "default_profile": None,
    "trusted_proxies": (),
    "jpeg_quality": 85,
    "jpeg_progressive": False,
    "jpeg_subsampling": "4:2:0",
    "png_compression": 3,
    "webp_quality": 80,
    "webp_effort": 2,
    "avif_quality": 60,
    "avif_effort": 0,
    "jp2_quality": 65,
    "tif_compression": "deflate",
    "background": "#ffffff",
    "metadata": "strip",
    "preferred_formats": (),
    "max_width": None,
    "max_height": None,
    "max_area": 100_000_000,
    "max_source_pixels": 250_000_000,
    "max_source_bytes": 4 * 1024**3,
    "image_timeout": 30,
    "image_queue_size": None,
    "image_cache_bytes_per_process": 512 * 1024**2,
    "image_worker_max_memory": 1536 * 1024**2,
    "memory_cache_size": 128 * 1024**2,
    "disk_cache_size": 10 * 1024**3,
    "default_api_version": 3,
    "gallery": False,
    "log_level": "INFO",
    "log_format": "human",
    "access_log": False,
    "server_timing": True,
}


@pytest.mark.parametrize(("key", "default"), [*README_KEYS.items(), *NEW_KEYS.items()])
def test_defaults(key: str, default: object, load: Load) -> None:
    assert getattr(load(DISK), key) == default


def test_every_key_has_a_description(option_models: Models) -> None:
    models: list[type[BaseModel]] = [Config, *option_models.values()]
    for model in models:
        for name, field in model.model_fields.items():
            assert field.description, name


def test_default_directories_follow_the_platform(load: Load, monkeypatch: Any, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))

    config = load(DISK)

    assert config.source_path.is_relative_to(tmp_path / "data") or os.name != "posix"
    assert config.cache_path.is_relative_to(tmp_path / "cache") or os.name != "posix"


def test_the_old_configuration_file_is_understood(load: Load) -> None:
    """Every key of the old system's documentation, with other values than the defaults."""
    config = load("""\
base_url: http://10.11.20.12/iiif_images/
cache_path: /var/lib/iiif_image_server/cache
source_path: /var/lib/iiif_image_server/source
min_sizes_size: 100
image_pool_size: 3
image_cache_size_per_process: 6
thumbnail_width: 500
preview_width: 1500
download_chunk_size: 8192
download_max_files: 10
default_profile: project1
profiles:
  project1:
    type: disk
    rights: http://creativecommons.org/licenses/by/4.0/
    info_json_cache_size: 10
    log_level: info
    cache_for: 60
""")

    assert config.base_url == "http://10.11.20.12/iiif_images"
    assert config.cache_path == Path("/var/lib/iiif_image_server/cache")
    assert config.source_path == Path("/var/lib/iiif_image_server/source")
    for key, value in zip(README_KEYS, (100, 3, 6, 500, 1500, 8192, 10), strict=True):
        assert getattr(config, key) == value
    assert config.default_profile == "project1"
    options = DiskOptions(
        rights="http://creativecommons.org/licenses/by/4.0/",
        info_json_cache_size=10,
        log_level="INFO",
        cache_for=60,
    )
    assert config.profiles == {"project1": ConfiguredProfile(name="project1", type="disk", options=options)}


def test_values_are_converted_as_their_fields_want(load: Load) -> None:
    config = load("""\
image_timeout: 5
max_area: null
background: "#FFCC00"
log_level: debug
disk_cache_size: 1.5 GiB
trusted_proxies: [127.0.0.1, 10.0.0.0/8, "::1"]
profiles:
  2024:
    type: store
    rights: x
    hosts: [a, b]
    cache_size: 10kB
    retry: {attempts: 5}
""")

    assert config.image_timeout == 5.0
    assert config.max_area is None
    assert config.render_settings == RenderSettings(jpeg_quality=85, background=(255, 204, 0))
    assert config.log_level == "DEBUG"
    assert config.disk_cache_size == 3 * 512 * 1024**2
    assert config.trusted_proxies == tuple(map(ip_network, ("127.0.0.1", "10.0.0.0/8", "::1")))
    options = config.profiles["2024"].options
    assert isinstance(options, StoreOptions)
    assert (options.hosts, options.cache_size, options.retry.attempts) == (("a", "b"), 10_000, 5)


def test_options_that_a_profile_and_the_top_level_share(load: Load) -> None:
    config = load("""\
webp_effort: 0
jpeg_progressive: true
profiles:
  a: {type: disk, rights: x, webp_effort: 6, jpeg_progressive: false, preferred_formats: [avif, jpg]}
  b: {type: disk, rights: x, webp_effort: null, max_width: 9, max_height: 5}
""")
    first, second = (effective(config, profile.options) for profile in config.profiles.values())

    assert (first.webp_effort, first.jpeg_progressive) == (6, False)
    assert first.preferred_formats == (Format.AVIF, Format.JPG)
    assert (second.webp_effort, second.jpeg_progressive, second.preferred_formats) == (0, True, ())
    assert second.limits == Limits(9, 5, 100_000_000)


def test_links_are_kept_as_they_are_written(load: Load) -> None:
    config = load("""\
profiles:
  a:
    type: disk
    rights: x
    part_of: [{id: "https://example.org/{name}", type: Manifest, label: {en: [A book, "{name}"]}}]
    see_also: [{id: "{id}.xml", type: Dataset, format: text/xml, profile: "https://example.org/p"}]
    service:
      - "@context": http://iiif.io/api/auth/1/context.json
        "@id": https://example.org/login
        "@type": AuthCookieService1
        service: [{"@id": https://example.org/token, ttl: 3.5, on: true, off: null}]
""")

    assert config.profiles["a"].options.links == Links(
        part_of=(
            {
                "id": "https://example.org/{name}",
                "type": "Manifest",
                "label": {"en": ["A book", "{name}"]},
            },
        ),
        see_also=(
            {"id": "{id}.xml", "type": "Dataset", "format": "text/xml", "profile": "https://example.org/p"},
        ),
        service=(
            {
                "@context": "http://iiif.io/api/auth/1/context.json",
                "@id": "https://example.org/login",
                "@type": "AuthCookieService1",
                "service": [{"@id": "https://example.org/token", "ttl": 3.5, "on": True, "off": None}],
            },
        ),
    )


def test_relative_paths_start_at_the_file(load: Load, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")

    config = load("""\
source_path: images
cache_path: ~/cache
profiles: {a: {type: disk, rights: x, path: ../b}}
""")

    assert config.source_path == tmp_path / "images"
    assert config.cache_path == Path("/home/somebody/cache")
    options = config.profiles["a"].options
    assert isinstance(options, DiskOptions)
    assert options.path == tmp_path / "../b"


def test_profiles_can_share_options(load: Load) -> None:
    config = load("""\
profiles:
  a: &common {type: disk, rights: x, cache_for: 1}
  b: &more
    <<: *common
    cache_for: 2
  c:
    <<: [{log_level: INFO}, *more]
""")

    assert [profile.options.cache_for for profile in config.profiles.values()] == [1, 2, 2]
    assert [profile.options.log_level for profile in config.profiles.values()] == [
        "WARNING",
        "WARNING",
        "INFO",
    ]


def test_a_byte_order_mark_and_an_anchor_used_again_do_no_harm(load: Load) -> None:
    content = "profiles: {a: {type: &x disk, rights: &x y, path: *x}}\n"

    assert load(content.encode("utf-8-sig")).profiles["a"].options.rights == "y"


def test_dates_are_text(load: Load) -> None:
    assert (
        load("profiles: {a: {type: disk, rights: 2024-01-01}}").profiles["a"].options.rights == "2024-01-01"
    )


def test_a_configuration_does_not_change(load: Load) -> None:
    config = load(DISK)

    with pytest.raises(ValidationError):
        config.gallery = True  # type: ignore[misc]
    with pytest.raises(ValidationError):
        config.profiles["a"].options.cache_for = 5  # type: ignore[misc]


def test_a_configuration_made_in_code_is_checked_as_well(load: Load) -> None:
    profile = load(DISK).profiles["a"]

    with pytest.raises(ValidationError, match="default_profile"):
        Config(default_profile="b", profiles={"a": profile})
    with pytest.raises(ValidationError, match="own name"):
        Config(profiles={"b": profile})
    with pytest.raises(ValidationError):
        Config(profiles={})
    tall = ConfiguredProfile(name="a", type="disk", options=DiskOptions(rights="x", max_height=5))
    with pytest.raises(ValidationError, match="max_width"):
        Config(profiles={"a": tall})
    assert Config(max_width=5, profiles={"a": tall}).max_width == 5


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("missing.yaml", "missing.yaml: there is no such file"),
        (".", "this is a directory; want a YAML file"),
        ("null\0.yaml", "can't be read: embedded null byte"),
        ("x" * 5000, "can't be read: File name too long"),
    ],
)
def test_files_that_are_none(name: str, line: str, tmp_path: Path, option_models: Models) -> None:
    with pytest.raises(ConfigurationError) as caught:
        load_config(tmp_path / name, option_models, {})

    assert len(caught.value.problems) == 1
    assert caught.value.problems[0].endswith(line)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read every file")
def test_a_file_that_may_not_be_read(load: Load, tmp_path: Path, option_models: Models) -> None:
    load(DISK)
    (tmp_path / "config.yaml").chmod(0)

    with pytest.raises(ConfigurationError, match="Permission denied"):
        load_config(tmp_path / "config.yaml", option_models, {})


def test_a_directory_needs_no_configuration(tmp_path: Path, option_models: Models) -> None:
    config = directory_config(tmp_path, option_models)

    assert config.default_profile == "files"
    assert config.gallery
    assert config.profiles["files"].type == "disk"
    assert config.profiles["files"].options == DiskOptions(rights=DIRECTORY_RIGHTS, path=tmp_path)


def test_each_directory_has_caches_of_its_own(tmp_path: Path, option_models: Models) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    names = ("a", "b", "a/../b")

    first, second, again = (directory_config(tmp_path / name, option_models).cache_path for name in names)

    assert first != second
    assert second == again


def test_directories_that_are_none(tmp_path: Path, option_models: Models) -> None:
    file = tmp_path / "file"
    file.touch()

    with pytest.raises(ConfigurationError, match="missing: there is no such directory"):
        directory_config(tmp_path / "missing", option_models)
    with pytest.raises(ConfigurationError, match="file: not a directory; to use a configuration file"):
        directory_config(file, option_models)
    strange = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff"))
    strange.mkdir()
    with pytest.raises(ConfigurationError, match="not UTF-8 text; rename it"):
        directory_config(strange, option_models)


def test_a_directory_needs_the_disk_profile_type(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError) as caught:
        directory_config(tmp_path, {}, {"disk": "ImportError: broken"})

    assert caught.value.problems == [
        (
            f"{tmp_path}: profiles.files.type: unknown profile type 'disk'; installed types: none; "
            "the plugin disk could not be loaded: ImportError: broken"
        )
    ]
