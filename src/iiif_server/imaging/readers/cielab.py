"""CIELab in floating point, on its way to Pillow's 8 bits."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from iiif_server.imaging.readers.jp2 import LabSpace

_D50 = np.array([0.96422, 1.0, 0.82521], np.float32)
_D65 = np.array([0.95047, 1.0, 1.08883], np.float32)
_D65_TO_D50 = np.array(
    [
        [1.0478112, 0.0228866, -0.0501270],
        [0.0295424, 0.9904844, -0.0170491],
        [-0.0092345, 0.0150436, 0.7521316],
    ],
    np.float32,
)
"""Bradford's adaptation, as in ICC profiles (ICC.1:2022 annex E), of XYZ."""
_STEP = np.float32(6 / 29)
_LIMITS = np.array([[0, -128, -128], [255, 127, 127]], np.float32)


def from_samples(samples: NDArray[np.uint8], space: LabSpace) -> NDArray[np.float32]:
    """L* from 0 to 100, a* and b*, by row, column and channel."""
    extents = np.array(space.ranges[::2], np.float32)
    offsets = np.array(space.ranges[1::2], np.float32)
    scaled: NDArray[np.float32] = (samples - offsets) * (extents / np.float32(255))
    return scaled


def under_d50(lab: NDArray[np.float32]) -> NDArray[np.float32]:
    """What is seen under D65, as it would be under D50, which is what profiles connect by."""
    middle = (lab[..., 0] + 16) / 116
    roots = np.stack((middle + lab[..., 1] / 500, middle, middle - lab[..., 2] / 200), axis=-1)
    xyz = np.where(roots > _STEP, roots**3, 3 * _STEP**2 * (roots - 4 / 29)) * _D65 @ _D65_TO_D50.T / _D50
    roots = np.where(xyz > _STEP**3, np.cbrt(xyz), xyz / (3 * _STEP**2) + 4 / 29)
    x, y, z = np.moveaxis(roots, -1, 0)
    return np.stack((116 * y - 16, 500 * (x - y), 200 * (y - z)), axis=-1)


def lab_image(lab: NDArray[np.float32]) -> Image.Image:
    """As Pillow takes it: L* from 0 to 255, a* and b* as signed bytes."""
    scaled: NDArray[Any] = np.rint(lab * np.array([255 / 100, 1, 1], np.float32))
    packed = np.clip(scaled, *_LIMITS).astype(np.int16).astype(np.uint8)
    return Image.frombytes("LAB", packed.shape[1::-1], packed.tobytes())
