"""What is computed of pictures here: colours by the textbook, scaling by Lanczos."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
"""By row, column and channel: gray, gray and alpha, RGB or RGBA."""
Samples = NDArray[np.float64]
Weights = NDArray[np.float32]

_ALPHA = {2, 4}
D50 = np.array([0.96422, 1.0, 0.82521])
D65 = np.array([0.95047, 1.0, 1.08883])
_TO_LINEAR = np.array(
    [
        [3.2404542, -1.5371385, -0.4985314],
        [-0.9692660, 1.8760108, 0.0415560],
        [0.0556434, -0.2040259, 1.0572252],
    ]
)
"""From XYZ under D65 to linear sRGB (IEC 61966-2-1)."""
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])


def srgb_of_lab(lab: Samples, white: NDArray[np.float64] = D50) -> Pixels:
    """CIELab under a white point to sRGB by the textbook (CIE 15, Bradford adaptation)."""
    fy = (lab[..., 0] + 16) / 116
    f = np.stack((fy + lab[..., 1] / 500, fy, fy - lab[..., 2] / 200), axis=-1)
    xyz = np.where(f > 6 / 29, f**3, 3 * (6 / 29) ** 2 * (f - 4 / 29)) * white
    gains = np.diag((_BRADFORD @ D65) / (_BRADFORD @ white))
    linear = np.clip(xyz @ (_TO_LINEAR @ np.linalg.inv(_BRADFORD) @ gains @ _BRADFORD).T, 0, 1)
    return rounded(255 * np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055))


def luma(pixels: Pixels) -> Pixels:
    """Gray by Rec. ITU-R BT.601, alpha kept."""
    if pixels.shape[2] < 3:
        return pixels
    gray = rounded(pixels[..., :3] @ np.array([0.299, 0.587, 0.114]))
    return np.concatenate((gray[..., None], pixels[..., 3:]), axis=2)


def resampled(pixels: Pixels, box: tuple[int, int, int, int], width: int, height: int) -> Pixels:
    """Scale a box (x, y, width, height) of a picture by Lanczos of three lobes; alpha weighs the colours."""
    x, y, across, down = box
    columns, xs = _lanczos(x, across, width, pixels.shape[1])
    rows, ys = _lanczos(y, down, height, pixels.shape[0])
    part = pixels[ys, xs].astype(np.float32)
    if pixels.shape[2] not in _ALPHA:
        return rounded(_both_ways(rows, columns, part))
    part[..., :-1] *= part[..., -1:] / 255
    scaled = _both_ways(rows, columns, part)
    coverage = np.clip(scaled[..., -1:], 0, 255)
    scaled[..., :-1] /= np.maximum(coverage / 255, 1 / 255)
    return rounded(scaled)


def rounded(samples: Samples) -> Pixels:
    """To the nearest level."""
    return np.clip(np.rint(samples), 0, 255).astype(np.uint8)


def laid_on_white(pixels: Pixels) -> Samples:
    """What is seen of a picture with alpha on white paper; any other as it is."""
    if pixels.shape[2] not in _ALPHA:
        return pixels.astype(np.float64)
    alpha = pixels[..., -1:] / 255
    return pixels[..., :-1] * alpha + 255 * (1 - alpha)


def difference(answer: Pixels, expected: Pixels) -> tuple[float, int]:
    """Mean and largest absolute difference of what is seen on white paper; the largest one of alpha, too."""
    if np.array_equal(answer, expected):
        return 0.0, 0
    stored = np.abs(answer.astype(np.int16) - expected)
    if answer.shape[2] not in _ALPHA:
        return float(stored.mean()), int(stored.max())
    shown = np.abs(laid_on_white(answer) - laid_on_white(expected))
    return float(shown.mean()), max(round(float(shown.max())), int(stored[..., -1].max()))


def _lanczos(start: int, extent: int, count: int, length: int) -> tuple[Weights, slice]:
    """Weights by result and source pixel, and which source pixels take part."""
    scale = extent / count
    stretch = max(1.0, scale)
    centres = start + (np.arange(count) + 0.5) * scale
    first = max(0, int(centres[0] - 3 * stretch))
    last = min(length, int(centres[-1] + 3 * stretch) + 1)
    distances = (np.arange(first, last) + 0.5 - centres[:, None]) / stretch
    weights = np.where(np.abs(distances) < 3, np.sinc(distances) * np.sinc(distances / 3), 0)
    return (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32), slice(first, last)


def _both_ways(rows: Weights, columns: Weights, part: Weights) -> Samples:
    height, width, channels = part.shape
    lower = (rows @ part.reshape(height, -1)).reshape(-1, width, channels)
    both: Samples = np.matmul(columns, lower).astype(np.float64)
    return both
