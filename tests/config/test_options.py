"""The options that every profile has, and what authors of profile types may build on."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from iiif_server.profiles.derivatives import DerivativeOptions
from iiif_server.profiles.options import ProfileOptions, anchor_path, format_byte_size, parse_byte_size

from .conftest import DiskOptions


@pytest.mark.parametrize(
    ("written", "size"),
    [
        (0, 0),
        (12345, 12345),
        ("512 MiB", 512 * 1024**2),
        ("512MiB", 512 * 1024**2),
        (" 10 gb ", 10_000_000_000),
        ("10GB", 10_000_000_000),
        ("1.5 KiB", 1536),
        ("7 B", 7),
        ("2 TiB", 2 * 1024**4),
        ("1 kB", 1000),
        ("3 TB", 3 * 1000**4),
    ],
)
def test_byte_sizes(written: object, size: int) -> None:
    assert parse_byte_size(written) == size


@pytest.mark.parametrize(
    "written",
    [-1, True, 1.5, None, [], "", "5", "MiB", "5 apples", "5 M", "-5 MB", "5 MB MB", "٥ MB", "1e3 MB"],
)
def test_what_is_no_byte_size(written: object) -> None:
    with pytest.raises(ValueError, match="want a number of bytes"):
        parse_byte_size(written)


@given(st.integers(min_value=0, max_value=2**62))
def test_a_byte_size_is_read_as_it_is_written(size: int) -> None:
    written = format_byte_size(size)

    assert parse_byte_size(int(written) if written.isdigit() else written) == size


def test_defaults() -> None:
    options = ProfileOptions(rights=" x ")

    assert options.model_dump() == {
        "rights": "x",
        "info_json_cache_size": 1000,
        "log_level": "WARNING",
        "cache_for": 0,
        "source_check_interval": 1.0,
        **dict.fromkeys(DerivativeOptions.model_fields),
        "part_of": (),
        "see_also": (),
        "service": (),
        "physical_scale": False,
    }


def test_options_made_in_code_take_paths() -> None:
    assert DiskOptions(rights="x", path=Path("a")).path == Path("a")


def test_an_option_cannot_be_called_type() -> None:
    with pytest.raises(TypeError, match="can't be called 'type'"):

        class Wrong(ProfileOptions):
            type: str


def test_options_are_frozen_and_closed() -> None:
    with pytest.raises(ValidationError):
        ProfileOptions(rights="x", unknown=1)  # type: ignore[call-arg]
    with pytest.raises(ValidationError):
        ProfileOptions(rights="x").rights = "y"  # type: ignore[misc]


def test_paths_without_a_base_stay_relative() -> None:
    assert anchor_path(Path("a"), None) == Path("a")


def test_a_home_that_is_none() -> None:
    with pytest.raises(ValueError, match="known home directory"):
        anchor_path(Path("~nobody-has-this-name/a"), {"base": Path("/")})
