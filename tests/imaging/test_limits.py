"""What a decoder raises, and what a client reads."""

import struct
import warnings

import pytest
from PIL import Image

from iiif_server.errors import IIIFServerError, ImageNotFound, SourceTooLarge, UnreadableSource
from iiif_server.iiif.geometry import Dimensions
from iiif_server.imaging.limits import check_size, guarded_decoding


@pytest.mark.parametrize(
    "error",
    [
        OSError("/secret/path"),
        SyntaxError("/secret/path"),
        ValueError("/secret/path"),
        struct.error("/secret/path"),
        ZeroDivisionError(),
        OverflowError(),
        KeyError("/secret/path"),
        EOFError(),
        RecursionError(),
    ],
)
def test_what_decoders_raise_stays_inside(error: Exception) -> None:
    """The public text says that the source is damaged; the log says how."""
    with pytest.raises(UnreadableSource) as found, guarded_decoding(100):
        raise error
    assert "secret" not in found.value.public
    assert type(error).__name__ in found.value.log


def test_bombs_are_too_large() -> None:
    """Pillow's warning is an error at once."""
    with pytest.raises(SourceTooLarge), guarded_decoding(100):
        Image._decompression_bomb_check((11, 10))
    with pytest.raises(SourceTooLarge), guarded_decoding(100):
        Image._decompression_bomb_check((1100, 10))


def test_other_warnings_are_dropped() -> None:
    """They are about metadata."""
    with guarded_decoding(100):
        warnings.warn("Corrupt EXIF data", UserWarning, stacklevel=1)


@pytest.mark.parametrize("error", [MemoryError(), ImageNotFound("no"), KeyboardInterrupt()])
def test_some_errors_pass(error: BaseException) -> None:
    """Ours, and those that are not the source's."""
    with pytest.raises(type(error)) as found, guarded_decoding(100):
        raise error
    assert found.value is error


@pytest.mark.parametrize("size", [(0, 5), (11, 10), (2_000_000, 1), (1, 2_000_000)])
def test_sizes_beyond_reason(size: tuple[int, int]) -> None:
    """Nothing, too many pixels, or a side that no picture has."""
    with pytest.raises(IIIFServerError):
        check_size(Dimensions(*size), 100 if max(size) < 100 else 10**9)
