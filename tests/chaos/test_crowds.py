"""Many who want the same cost one piece of work; those who want what only looks the same get their own."""

from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image
from prometheus_client.parser import text_string_to_metric_families

from iiif_server.iiif.uri import Identifier
from tests.chaos.raw import Answer, RawClient
from tests.chaos.site import Site

pytestmark = [pytest.mark.e2e, pytest.mark.chaos]

CROWD = 200
LOOK_ALIKES = (
    *(
        "a.png",
        "A.png",
        "a .png",
        " a.png",
        "a..png",
        "a.png.png",
        "a.PNG",
        "à.png",
        "à.png",
        "ａ.png",
        "a\u200d.png",
    ),
    *(
        "ﬁ.png",
        "fi.png",
        "ß.png",
        "ss.png",
        "d/b.png",
        "d%2Fb.png",
        "d:b.png",
        "d+b.png",
        "d b.png",
        "d%20b.png",
    ),
    *("0.png", "00.png", "x.png;page=1", "x.png;page=2", "x.png", "İ.png", "i̇.png"),
)


def tasks(client: RawClient) -> float:
    """How many pieces of work the workers have answered."""
    families = text_string_to_metric_families(client.get("/metrics").body.decode())
    samples = [sample for family in families for sample in family.samples]
    return next(sample.value for sample in samples if sample.name == "iiif_tasks_total")


def test_stampede(shared_site: Site, client: RawClient) -> None:
    """Two hundred ask for one image that nobody asked for before, and the first one leaves."""
    target = "/one.jpg/full/^600,/7/default.png"
    assert client.get("/one.jpg/info.json").status == 200
    before = tasks(client)
    clients = [RawClient(shared_site.server.port, 30) for _ in range(CROWD)]
    for each in clients:
        each.write(target)
    clients[0].close()
    answers = [each.read() for each in clients[1:]]
    for each in clients:
        each.close()

    assert {answer.status for answer in answers} == {200}
    assert len({answer.body for answer in answers}) == 1
    assert tasks(client) == before + 1


def test_look_alikes(shared_site: Site) -> None:
    """Names that look, fold or decode to the same are different images, cached or not."""
    (shared_site.images / "d").mkdir(exist_ok=True)
    colours = {}
    for number, name in enumerate(LOOK_ALIKES):
        colours[name] = (9 * number, 255 - 9 * number, 40)
        Image.new("RGB", (40, 30), colours[name]).save(Path(shared_site.images, name), "PNG")

    def ask(name: str) -> Answer:
        with RawClient(shared_site.server.port) as client:
            return client.get(f"/{Identifier('files', name)}/full/20,/0/default.png")

    with ThreadPoolExecutor(8) as crowd:
        for _ in range(2):
            for name, answer in zip(LOOK_ALIKES, crowd.map(ask, LOOK_ALIKES), strict=True):
                assert answer.status == 200, name
                assert Image.open(BytesIO(answer.body)).convert("RGB").getpixel((9, 9)) == colours[name], name
