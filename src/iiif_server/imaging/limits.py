"""What keeps an untrusted file from exhausting a worker, and a decoder's error from reaching a client."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from PIL import Image

from iiif_server.errors import IIIFServerError, SourceTooLarge, UnreadableSource
from iiif_server.iiif.geometry import Dimensions

MAX_SIDE = 1_000_000
"""No format with sides beyond this holds a picture; decoders allocate and loop along each side."""


def check_size(size: Dimensions, max_pixels: int | None) -> None:
    """Refuse a source whose decoding would take too much memory, before anything is decoded.

    Args:
        size: as its header states it.
        max_pixels: the limit, or ``None`` for a source that never has to be decoded whole.

    Raises:
        SourceTooLarge: more pixels than allowed, or a side beyond reason.
        UnreadableSource: a side is 0.
    """
    if min(size) < 1:
        raise UnreadableSource("The source image is damaged: it says that it has no pixels.")
    if max(size) > MAX_SIDE or (max_pixels is not None and size.width * size.height > max_pixels):
        raise SourceTooLarge(
            f"The source image has {size.width} x {size.height} pixels, more than this server decodes."
        )


@contextmanager
def guarded_decoding(max_pixels: int) -> Iterator[None]:
    """Run Pillow under this server's limits; whatever a decoder raises becomes an error with a public text.

    Pillow's limit on pixels is set and enforced as an error at once. Its other warnings are about metadata,
    which this server does without, and are dropped. A ``MemoryError`` passes: the worker's owner decides.

    Raises:
        SourceTooLarge: the header promises more pixels than allowed.
        UnreadableSource: the decoder gave up.
    """
    previous = Image.MAX_IMAGE_PIXELS
    Image.MAX_IMAGE_PIXELS = max_pixels
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            yield
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise SourceTooLarge(
            "The source image has more pixels than this server decodes.", log=str(error)
        ) from None
    except (IIIFServerError, MemoryError):
        raise
    except Exception as error:
        # Decoders let out anything over a damaged file: OSError, SyntaxError, struct.error, KeyError, ...
        raise UnreadableSource(
            "The source image is damaged, or of a kind that can't be read.",
            log=f"{type(error).__name__}: {error}",
        ) from error
    finally:
        Image.MAX_IMAGE_PIXELS = previous
