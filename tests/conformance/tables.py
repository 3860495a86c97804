"""What both versions say with the same words: examples, and what lies outside of the grammar."""

from tests.conformance.pictures import EXAMPLE

Rectangle = tuple[int, int, int, int]

REGIONS: dict[str, Rectangle] = {
    "full": (0, 0, *EXAMPLE),
    "square": (50, 0, 200, 200),
    # The examples of section 4.1. By percent they are the same regions to the nearest pixel.
    "125,15,120,140": (125, 15, 120, 140),
    "pct:41.6,7.5,40,70": (125, 15, 120, 140),
    "125,15,200,200": (125, 15, 175, 185),
    "pct:41.6,7.5,66.6,100": (125, 15, 175, 185),
    # The corners and edges.
    "0,0,300,200": (0, 0, 300, 200),
    "0,0,1,1": (0, 0, 1, 1),
    "299,199,1,1": (299, 199, 1, 1),
    "299,199,100,100": (299, 199, 1, 1),
    "0,199,1000,1": (0, 199, 300, 1),
    "pct:0,0,100,100": (0, 0, 300, 200),
    "pct:50,50,50,50": (150, 100, 150, 100),
    "pct:99,99,50,50": (297, 198, 3, 2),
    "pct:11,2.5,2,12.5": (33, 5, 6, 25),
}
"""Regions of the example image, by left, top, width and height in pixels."""

REGIONS_WITHOUT_PIXELS = [
    "10,10,0,10",
    "10,10,10,0",
    "0,0,0,0",
    "pct:10,10,0,10",
    "pct:10,10,10,0",
    "300,0,10,10",
    "0,200,10,10",
    "1000,1000,10,10",
    "pct:100,0,10,10",
    "pct:0,100,10,10",
    "pct:101,0,10,10",
]
"""Regions that are empty or lie outside of the example image."""

NO_REGIONS = [
    "all",
    "Full",
    "FULL",
    "Square",
    "10,10,10",
    "10,10,10,10,10",
    "-1,0,10,10",
    "0,-1,10,10",
    "1.5,0,10,10",
    "0,0,10.0,10",
    "10,10,10,",
    "a,b,c,d",
    "pct:10,10,10",
    "pct:-1,0,10,10",
    "pct:+1,0,10,10",
    "pct:1e1,0,10,10",
    "PCT:10,10,10,10",
    "percent:10,10,10,10",
]

NO_SIZES = [
    ",",
    "x",
    "Max",
    "MAX",
    "150",
    "1.5,",
    ",1.5",
    "-150,",
    "+150,",
    "150,100,50",
    "!150",
    "!150,",
    "!,100",
    "150!,100",
    "pct:",
    "pct:-50",
    "pct:+50",
    "pct:5e1",
    "PCT:50",
    "50%25",
]

EMPTY_SIZES = ["0,", ",0", "0,0", "0,100", "150,0", "!0,100", "!150,0", "pct:0", "pct:0.01"]
"""Sizes of less than a pixel."""

ROTATIONS = ["0", "90", "180", "270", "360", "!0", "!90", "!180", "!270", "!360"]

OTHER_ROTATIONS = ["22.5", "45", "!45", "0.5", "1", "89.9", "135", "!200", "345", "!345", "359.5"]
"""Rotations by other angles than multiples of 90 degrees; 22.5, 345 and their like are examples."""

NO_ROTATIONS = [
    "-1",
    "-90",
    "+90",
    "360.1",
    "361",
    "450",
    "!361",
    "!-1",
    "90!",
    "!!90",
    "!",
    "9e1",
    "90deg",
    "ninety",
    "nan",
]

NO_QUALITIES = ["native", "colour", "grey", "Default", "DEFAULT", "high", "gray8", "!gray"]

MEDIA_TYPES = {
    "jpg": "image/jpeg",
    "tif": "image/tiff",
    "png": "image/png",
    "gif": "image/gif",
    "jp2": "image/jp2",
    "pdf": "application/pdf",
    "webp": "image/webp",
}
"""The table of section 4.5."""

NO_FORMATS = ["jpeg", "JPG", "Png", "tiff", "bmp", "jxl", "html", "json", "j"]

RECOMMENDED_ROTATIONS = {
    "90.0": "90",
    "22.50": "22.5",
    ".5": "0.5",
    "360": "0",
    "!0.0": "!0",
    "!022.5": "!22.5",
}
"""Rotations as they may come, and as they are written by the recommendations."""

HOSTILE_NAMES = [
    "..",
    "..%2F..%2Fetc%2Fpasswd",
    "%2Fetc%2Fpasswd",
    "%2e%2e%2fconfig.yaml",
    "a%00b",
    "%FF",
    "x" * 5000,
]
"""Identifiers that would lead out of the collection, or are too much for what they pass through."""

_NINES = "9" * 40

HOSTILE_PARAMETERS = [
    f"0,0,{_NINES},9/max/0/default.jpg",
    f"full/{_NINES},/0/default.jpg",
    f"full/pct:{_NINES}/0/default.jpg",
    f"full/max/{_NINES * 10}/default.jpg",
    f"full/max/0/{'d' * 4000}.jpg",
    "full/99999,99999/0/default.jpg",
    "full/%00/0/default.jpg",
    "full/max/0/default.jpg%0d%0aX-Injected:1",
]
"""Parameters that would overflow, exhaust memory, or forge a header."""

NO_NUMBERS = ["+0.9", "-0.9", "9e-1", "0,9", "0x9", "1_0", "inf", "nan", "%D9%A3", "%209", "9%20", "9."]
"""What is more than decimal digits and a point, as it stands in an address."""

LIMITS = {
    "boundless": {},
    "files": {"maxArea": 100_000_000},
    "max_width_200": {"maxWidth": 200},
    "max_width_360": {"maxWidth": 360},
    "max_height_100": {"maxWidth": 240, "maxHeight": 100},
    "max_area_24000": {"maxArea": 24_000},
}
"""What each profile of ``conftest.py`` has to state."""

AROUND_THE_LIMITS = [
    *((width, height) for width in (1, 200, 201, 240, 241, 360, 361) for height in (1, 100, 101, 201, 361)),
    *((150, 160), (150, 161), (24_000, 1), (24_001, 1), (10_000, 10_000), (10_000, 10_001)),
]
"""Widths and heights that are just within or just above one of the limits."""
