"""What both versions demand with the same words, of a service of either."""

import io
from urllib.parse import unquote

import numpy as np
from PIL import Image

from tests.conformance.pictures import EXAMPLE, Pixels, assert_turned, bounding_box
from tests.conformance.service import Service
from tests.conformance.tables import MEDIA_TYPES

IMAGE = "125,15,120,140/60,/0/default.jpg"
ORIGIN = "https://viewer.example"

_SIGNATURES = {
    "jpg": "JPEG",
    "tif": "TIFF",
    "png": "PNG",
    "gif": "GIF",
    "jp2": "JPEG2000",
    "webp": "WEBP",
}


def id_is_encoded(service: Service, image_id: str) -> None:
    """An id holds the service's name with all special characters encoded, and works as it stands (§9)."""
    identifier = image_id.rpartition("/")[2]
    assert unquote(identifier) == f"{service.profile}:{unquote(service.name)}"
    assert identifier.isascii()
    assert not set("/?#[]@") & set(identifier)

    path = image_id.removeprefix(service.client.server.url)
    assert service.client.get(f"{path}/info.json").status == 200
    assert service.client.get(f"{path}/full/max/0/default.png").status == 200


def needs_no_encoding(service: Service) -> None:
    """Percent-encoding other characters makes no difference (§9)."""
    expected = service.ask("125,15,120,140/60,70/!90/gray.png")
    assert expected.status == 200
    prefix = f"/iiif/{service.version}"
    for path in (
        f"{prefix}/files:%65xample.png/125,15,120,140/60,70/!90/gray.png",
        f"{prefix}/files%3Aexample%2Epng/125,15,120,140/60,70/!90/gray.png",
        f"{prefix}/files:example.png/125%2C15%2c120%2C140/60%2C70/%2190/gr%61y%2Epng",
        f"{prefix}/files:example.png/%31%32%35,15,120,140/%36%30,70/!90/gray.png",
    ):
        answer = service.client.get(path)
        assert answer.status == 200, path
        assert answer.body == expected.body


def fits_its_bounding_box(got: Pixels, width: float, height: float, degrees: float) -> None:
    """There is no space around a turned picture; rounding is the implementation's, a pixel at each side."""
    box = bounding_box(width, height, degrees)
    assert -1 < got.shape[1] - box[0] < 2
    assert -1 < got.shape[0] - box[1] < 2


def is_turned(service: Service, rotation: str) -> None:
    """The contents are complete, unscaled, turned by that angle, and in a box without slack (§4.3)."""
    degrees = float(rotation.strip("!"))
    got = service.pixels(f"full/max/{rotation}/default.png")

    assert_turned(got, degrees, mirror=rotation.startswith("!"))
    fits_its_bounding_box(got, *EXAMPLE, degrees)


def has_transparent_corners(service: Service, rotation: str) -> None:
    """What a rotation adds is transparent where the format allows it (§4.3)."""
    alpha = np.asarray(service.picture(f"full/max/{rotation}/default.png").convert("RGBA"))[..., 3]

    assert {int(alpha[y, x]) for y in (0, -1) for x in (0, -1)} == {0}
    assert alpha[alpha.shape[0] // 2, alpha.shape[1] // 2] == 255


def is_gray(service: Service) -> None:
    """Each pixel is black, white or a shade between, the lighter the lighter it was (§4.4)."""
    color = service.pixels("full/max/0/default.png")
    got = service.pixels("full/max/0/gray.png").astype(int)

    assert (got == got[..., :1]).all()
    assert np.corrcoef(got[..., 0].ravel(), (color @ _LUMA).ravel())[0, 1] > 0.99
    assert len(np.unique(got)) > 100


def is_black_and_white(service: Service, rotation: str, extension: str) -> None:
    """Each pixel is either black or white, after scaling and turning, too (§4.4)."""
    got = service.pixels(f"full/211,/{rotation}/bitonal.{extension}")

    assert np.unique(got.reshape(-1, 3), axis=0).tolist() == [[0, 0, 0], [255, 255, 255]]


def is_written(service: Service, extension: str) -> None:
    """A format that is offered has its media type and contents (§4.5)."""
    answer = service.ask(f"full/150,/0/default.{extension}")

    assert answer.status == 200
    assert answer.headers["Content-Type"] == MEDIA_TYPES[extension]
    if extension == "pdf":
        assert answer.body.startswith(b"%PDF-")
        assert b"/Width 150" in answer.body
        assert b"/Height 100" in answer.body
    else:
        with Image.open(io.BytesIO(answer.body)) as picture:
            assert picture.format == _SIGNATURES[extension]
            assert picture.size == (150, 100)


def follows_the_order(service: Service) -> None:
    """The example of §4.6: the region is scaled, mirrored, turned, and then gray."""
    parameters = "125,15,120,140/90,/!345"
    color = service.pixels(f"{parameters}/default.png")
    assert_turned(color, 345, mirror=True, region=(125, 15, 120, 140), size=(90, 105))
    gray = service.pixels(f"{parameters}/gray.png").astype(float)
    assert (gray == gray[..., :1]).all()
    assert np.abs(gray[..., 0] - color @ _LUMA).max() < 2

    # The example's own format.
    jpeg = service.pixels(f"{parameters}/gray.jpg").astype(int)
    fits_its_bounding_box(jpeg.astype(np.uint8), 90, 105, 345)
    assert np.ptp(jpeg, axis=2).max() == 0


def has_a_canonical_form(service: Service, parameters: str) -> None:
    """The canonical URI gives the same image, and is its own canonical URI (§4.7 or §4.8)."""
    canonical = service.canonical(parameters)

    assert service.canonical(canonical) == canonical
    assert service.ask(canonical).body == service.ask(parameters).body


def answers_head(service: Service, parameters: str) -> None:
    """HEAD is GET without the body (§7)."""
    get, head = service.ask(parameters), service.ask(parameters, "HEAD")

    assert (get.status, head.status) == (200, 200)
    assert get.body
    assert not head.body
    for name in ("Content-Type", "Link", "Access-Control-Allow-Origin", "ETag"):
        assert head.headers[name] == get.headers[name] is not None


def answers_preflight(service: Service, parameters: str, method: str) -> None:
    """OPTIONS allows scripts of other sites to ask, credentials by header included (§7.1)."""
    headers = {
        "Origin": ORIGIN,
        "Access-Control-Request-Method": method,
        "Access-Control-Request-Headers": "authorization, x-requested-with",
    }
    answer = service.ask(parameters, "OPTIONS", **headers)

    assert answer.status in {200, 204}
    assert answer.headers["Access-Control-Allow-Origin"] == "*"
    assert method in answer.headers["Access-Control-Allow-Methods"]
    allowed = {name.strip().lower() for name in answer.headers["Access-Control-Allow-Headers"].split(",")}
    # A star does not include Authorization, which has to be named.
    assert allowed >= {"*", "authorization"}


def answers_not_modified(service: Service, parameters: str) -> None:
    """A 304 is handled as HTTP has it: with the entity tag, and without a body (§7)."""
    first = service.ask(parameters)
    again = service.ask(parameters, **{"If-None-Match": first.headers["ETag"]})

    assert again.status == 304
    assert again.body == b""
    assert again.headers["ETag"] == first.headers["ETag"]
    assert again.headers["Access-Control-Allow-Origin"] == "*"
    assert service.ask(parameters, **{"If-None-Match": '"another"'}).status == 200


def redirects_without_a_body(service: Service) -> None:
    """A redirect has a Location, and is recommended to have an empty body (§7)."""
    answer = service.client.ask("GET", service.path, {"Origin": ORIGIN})

    assert answer.status == 303
    assert answer.headers["Location"] == f"{service.uri}/info.json"
    assert answer.body == b""
    assert answer.headers["Access-Control-Allow-Origin"] == "*"


def explains(service: Service, parameters: str, status: int) -> None:
    """An error has its status and, as is recommended, a description in plain text or HTML (§7)."""
    answer = service.ask(parameters)

    assert answer.status == status
    assert answer.headers["Content-Type"].partition(";")[0] in {"text/plain", "text/html"}
    assert len(answer.text.split()) > 3


def is_nowhere(service: Service) -> None:
    """An image that does not exist is a 404 at each of its addresses (§7)."""
    explains(service, IMAGE, 404)
    explains(service, "info.json", 404)
    assert service.client.get(service.path).status == 404


_LUMA = np.array([0.299, 0.587, 0.114])
