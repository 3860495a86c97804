"""What a saved image is called: ``Content-Disposition`` of image requests."""

from types import SimpleNamespace

import pytest
from aiohttp.test_utils import make_mocked_request
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from iiif_server.web.images import _title

FULL = "/files:photo.jpg/full/max/0/default.jpg"
TILE = "/files:photo.jpg/0,0,512,500/256,250/0/default.jpg"


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/files:photo.jpg/full/max/0/default.jpg", "photo.jpg"),
        ("/files:photo.jpg/0,0,700,500/700,/360/color.png", "photo.png"),
        ("/files:photo.jpg/full/350,/0/default.jpg", "photo (to 350,250).jpg"),
        (
            "/files:photo.jpg/0,0,512,500/256,250/90/gray.png",
            "photo (0,0,512,500 to 256,250 rotated 90 gray).png",
        ),
        ("/iiif/2/photo.jpg/full/full/!0/default.tif", "photo (mirrored).tif"),
        ("/files:photo.jpg/full/max/22.5/bitonal.webp", "photo (rotated 22.5 bitonal).webp"),
        ("/files:turned.jpg/full/max/0/default.jpg", "turned.jpg"),
        ("/files:a%2Fb%2Fdeep.png/full/max/0/default.jpg", "deep.jpg"),
        ("/files:with%20space.png/full/max/0/default.jpg", "with space.jpg"),
        ("/files:one:two.png/full/max/0/default.jpg", "one_two.jpg"),
        ("/files:q%3F%23%5B%5D@+&=.png/full/max/0/default.jpg", "q_#[]@+&=.jpg"),
    ],
)
def test_a_download_is_named_after_its_image_and_what_it_shows(client, path, name):
    for query in ("?download", "?download=", "?download=1", "?download=true", "?a=b&download"):
        answer = client.get(path + query)

        assert answer.status == 200
        assert answer.headers["Content-Disposition"] == f'attachment; filename="{name}"'
        assert answer.body == client.get(path).body


@pytest.mark.parametrize(
    ("query", "header"),
    [
        ("some%20name.jpg", 'filename="some name.jpg"'),
        ("some+name", 'filename="some name.jpg"'),
        ("a.png", 'filename="a.jpg"'),
        ("a.exe", 'filename="a.exe.jpg"'),
        ("a,b;c.tiff", 'filename="a,b;c.jpg"'),
        ("%22a%22%5C", 'filename="_a__.jpg"'),
        ("../../etc/passwd", 'filename="_.._etc_passwd.jpg"'),
        ("a%0D%0ASet-Cookie:%20b=c", 'filename="a Set-Cookie_ b=c.jpg"'),
        ("%E2%80%AEgpj.exe", 'filename="gpj.exe.jpg"'),
        ("%C3%A9t%C3%A9", "filename=\"ete.jpg\"; filename*=UTF-8''%C3%A9t%C3%A9.jpg"),
        ("%D8%B5", "filename=\"_.jpg\"; filename*=UTF-8''%D8%B5.jpg"),
        ("%00%01", 'filename="image.jpg"'),
        ("x" * 3000, f'filename="{"x" * 196}.jpg"'),
    ],
)
def test_the_query_may_give_the_name(client, query, header):
    answer = client.get(f"{TILE}?download={query}")

    assert answer.status == 200
    assert answer.headers["Content-Disposition"] == f"attachment; {header}"
    assert "Set-Cookie" not in answer.headers


def test_pages_have_names_of_their_own(client, images):
    pages = [Image.new("L", size, 99) for size in ((60, 40), (30, 20))]
    pages[0].save(images / "book.tif", save_all=True, append_images=pages[1:])

    for page, name in ((1, "book.png"), (2, "book (page 2).png")):
        answer = client.get(f"/files:book.tif;page={page}/full/max/0/default.png?download")
        assert answer.headers["Content-Disposition"] == f'attachment; filename="{name}"'


def test_bytes_that_are_no_text_do_no_harm(client):
    for query in ("%FF%FE", "%ED%A0%80", "%", "%ZZ"):
        answer = client.get(f"{TILE}?download={query}")

        assert answer.status == 200
        assert answer.headers["Content-Disposition"].startswith('attachment; filename="')


def test_what_is_shown_has_a_name_if_it_is_the_whole_image(client):
    """A browser's "save image as" proposes it; nobody saves a tile."""
    for query in ("", "?other=1", "?download=0", "?download=false"):
        assert client.get(FULL + query).headers["Content-Disposition"] == 'inline; filename="photo.jpg"'
        assert "Content-Disposition" not in client.get(TILE + query).headers
    small = client.get("/files:photo.jpg/full/!200,200/0/default.jpg")
    assert small.headers["Content-Disposition"] == 'inline; filename="photo (to 200,143).jpg"'


def test_a_download_is_otherwise_the_same_answer(client):
    plain, download = client.get(TILE), client.get(f"{TILE}?download")

    assert set(download.headers) - set(plain.headers) == {"Content-Disposition"}
    assert download.headers["ETag"] == plain.headers["ETag"]
    assert download.headers["Link"] == plain.headers["Link"]
    head = client.ask("HEAD", f"{TILE}?download")
    assert head.headers["Content-Disposition"] == download.headers["Content-Disposition"]
    part = client.get(f"{TILE}?download", Range="bytes=0-9")
    assert (part.status, part.body) == (206, plain.body[:10])
    assert part.headers["Content-Disposition"] == download.headers["Content-Disposition"]
    current = client.get(f"{TILE}?download", If_None_Match=plain.headers["ETag"])
    assert current.status == 304
    assert "Content-Disposition" not in current.headers


def test_errors_are_not_downloads(client):
    answer = client.get("/files:nothing.jpg/full/max/0/default.jpg?download")

    assert answer.status == 404
    assert "Content-Disposition" not in answer.headers


class NamingProfile:
    """Names files otherwise than its images."""

    asked = 0

    async def resolve_filename(self, name):
        self.asked += 1
        return f"{name} from the cabinet.TIF"


def prepared(profile, *, whole):
    request = SimpleNamespace(identifier=SimpleNamespace(name="drawer/17.jpg"))
    operation = SimpleNamespace(is_full_region=whole)
    return SimpleNamespace(profile=profile, request=request, operation=operation)


@pytest.mark.parametrize("whole", [True, False])
async def test_the_profile_is_asked_for_downloads_only(whole):
    profile = NamingProfile()
    shown = await _title(make_mocked_request("GET", "/x"), prepared(profile, whole=whole))
    given = await _title(make_mocked_request("GET", "/x?download=y"), prepared(profile, whole=whole))
    assert profile.asked == 0
    saved = await _title(make_mocked_request("GET", "/x?download"), prepared(profile, whole=whole))

    assert shown == (("inline", "drawer/17.jpg", True) if whole else None)
    assert given == ("attachment", "y", False)
    assert saved == ("attachment", "drawer/17.jpg from the cabinet.TIF", True)


@given(st.text(max_size=60))
async def test_any_query_has_an_answer(query):
    request = make_mocked_request("GET", f"/x?{query.encode('unicode_escape').decode()}")

    title = await _title(request, prepared(NamingProfile(), whole=False))
    assert title is None or title.kind == "attachment"
