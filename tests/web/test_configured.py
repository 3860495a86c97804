"""What a configuration changes in the answers: each option has a test that fails when it is ignored."""

import io
import json
from contextlib import ExitStack

import numpy as np
import pytest
from PIL import Image

from tests.support.inside import running_inside
from tests.web.conftest import Client


@pytest.fixture
def configured(iiif_probe, images, tmp_path):
    """Run the application with options of the top level and of its profile."""
    running = ExitStack()

    def start(top="", profile=""):
        path = tmp_path / "config.yaml"
        path.write_text(
            f"cache_path: {tmp_path / 'cache'}\n{top}\nprofiles:\n  herbarium:\n    type: disk\n"
            f"    rights: http://creativecommons.org/licenses/by/4.0/\n    path: {images}\n"
            + "".join(f"    {line}\n" for line in profile.splitlines())
        )
        return Client(running.enter_context(running_inside(path, iiif_probe)))

    with running:
        yield start


def document(client, **headers):
    return json.loads(client.get("/herbarium:photo.jpg/info.json", **headers).body)


def test_without_a_default_profile_a_bare_name_is_404(configured):
    client = configured()

    assert client.get("/photo.jpg/info.json").status == 404
    assert document(client)["rights"] == "http://creativecommons.org/licenses/by/4.0/"
    assert "card" not in client.get("/").text  # the gallery is off unless it is asked for


@pytest.mark.parametrize("seconds", [0, 86_400])
def test_how_long_answers_may_be_kept(configured, seconds):
    """Documents, images, and what tells that a copy is current; not so redirects and errors."""
    client = configured(profile=f"cache_for: {seconds}")
    for rest in ("info.json", "full/50,/0/default.jpg"):
        answer = client.get(f"/herbarium:photo.jpg/{rest}")
        current = client.get(f"/herbarium:photo.jpg/{rest}", If_None_Match=answer.headers["ETag"])
        head = client.ask("HEAD", f"/herbarium:photo.jpg/{rest}")

        assert (answer.status, current.status, head.status) == (200, 304, 200)
        assert {one.headers["Cache-Control"] for one in (answer, current, head)} == {f"max-age={seconds}"}
    assert client.get("/herbarium:photo.jpg").headers["Cache-Control"] == "no-cache"
    for path in (
        "herbarium:no.jpg/info.json",
        "herbarium:broken.jpg/full/max/0/default.jpg",
        "herbarium:photo.jpg/x",
    ):
        assert client.get(f"/{path}").headers["Cache-Control"] == "no-store"


def test_the_options_of_the_answers(configured):
    client = configured(
        "base_url: https://images.example.org/media/\nmin_sizes_size: 300\nmax_width: 600\nmax_height: 400\n"
        "max_area: 200000\njpeg_quality: 30\ngallery: true",
        "cache_for: 77\n",
    )
    answer = client.get("/herbarium:photo.jpg/full/max/0/default.jpg")
    information = document(client)

    # 600,400 at most, and no more than 200 000 pixels.
    assert Image.open(io.BytesIO(answer.body)).size == (529, 378)
    assert answer.headers["Cache-Control"] == "max-age=77"
    assert information["id"] == "https://images.example.org/media/herbarium:photo.jpg"
    assert answer.headers["Link"].startswith(
        "<https://images.example.org/media/herbarium:photo.jpg/full/max/0/"
    )
    assert (information["maxWidth"], information["maxHeight"], information["maxArea"]) == (600, 400, 200_000)
    assert information["sizes"] == []
    assert client.get("/herbarium:photo.jpg/full/600,/0/default.jpg").status == 400
    assert client.get("/herbarium:photo.jpg/full/^700,/0/default.jpg").status == 400
    tables = vars(Image.open(io.BytesIO(answer.body)))["quantization"]
    assert max(tables[0]) > 150  # libjpeg's table for quality 30, not for 85
    assert "card" in client.get("/").text
    assert "https://images.example.org" in client.get("/").headers["Content-Security-Policy"]


def test_version_2_at_the_root(configured):
    client = configured("default_api_version: 2")

    assert document(client)["@id"] == f"{client.server.url}/herbarium:photo.jpg"
    assert client.get("/herbarium:photo.jpg/full/full/0/default.jpg").status == 200
    assert client.get("/iiif/3/herbarium:photo.jpg/full/max/0/default.jpg").status == 200


@pytest.mark.parametrize("extension", ["webp", "avif"])
def test_qualities(configured, extension):
    path = f"/herbarium:photo.jpg/full/max/0/default.{extension}"
    low = configured(f"{extension}_quality: 5").get(path)
    high = configured(f"{extension}_quality: 95").get(path)

    assert (low.status, high.status) == (200, 200)
    assert len(low.body) * 2 < len(high.body)
    assert low.headers["ETag"] != high.headers["ETag"]


def test_unlimited_means_no_upscaling(configured):
    client = configured("max_area: null")

    assert "sizeUpscaling" not in document(client)["extraFeatures"]
    assert client.get("/herbarium:photo.jpg/full/^800,/0/default.jpg").status == 501


def test_trusted_proxies_name_the_public_address(configured):
    client = configured("trusted_proxies: [127.0.0.0/8]")
    forwarded = document(
        client,
        X_Forwarded_Proto="https",
        X_Forwarded_Host="museum.example, inner.example",
        X_Forwarded_Prefix="/images/",
    )

    assert forwarded["id"] == "https://museum.example/images/herbarium:photo.jpg"
    assert document(client)["id"] == f"{client.server.url}/herbarium:photo.jpg"
    assert client.get("/herbarium:photo.jpg/info.json", X_Forwarded_Host="a b").status == 400


def test_limits_on_sources(configured):
    client = configured("max_source_pixels: 349999")

    assert client.get("/herbarium:photo.jpg/info.json").status == 413
    assert client.get("/herbarium:gray.png/info.json").status == 200


def test_a_budget_of_memory(configured, images):
    """What never fits is refused at once, and counted; the rest is served."""
    Image.new("1", (12_000, 12_000)).save(images / "plan.png")
    client = configured("image_memory_budget: 128 MiB")
    refused = client.get("/herbarium:plan.png/full/200,/0/default.jpg")
    status = json.loads(client.get("/status").body)["processing"]
    document = client.get("/herbarium:plan.png/info.json")
    (images / "plan.png").unlink()  # other tests see these images as well

    assert document.status == 200
    assert refused.status == 413
    assert "takes about 0.3 GiB of memory" in refused.text
    assert client.get("/herbarium:photo.jpg/full/200,/0/default.png").status == 200
    assert (status["memory_budget"], status["refused_for_memory"]) == (128 << 20, 1)
    assert "iiif_image_memory_budget_bytes 1.34217728e+08" in client.get("/metrics").text


def test_links_that_leave_are_followed_on_request(configured):
    client = configured(profile="follow_symlinks: true")

    assert client.get("/herbarium:leaving.png/full/max/0/default.png").status == 200
    assert client.get("/herbarium:..%2Foutside.png/full/max/0/default.png").status == 404


def test_the_background_shows_through(configured, images):
    Image.new("RGBA", (64, 64), (0, 0, 0, 0)).save(images / "clear.png")
    client = configured("background: '#00ff00'")
    answer = client.get("/herbarium:clear.png/full/max/0/default.jpg")

    pixels = np.asarray(Image.open(io.BytesIO(answer.body)))
    assert pixels[..., 1].min() > 240
    assert pixels[..., ::2].max() < 15
