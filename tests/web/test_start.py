"""The start page: what it lists, what it links to, and that it repeats nothing unescaped."""

import gzip
import os
import re

from tests.support.pictures import drawn_picture
from tests.web.conftest import Client


def test_the_gallery_lists_images_only(client):
    page = client.get("/").text
    names = re.findall(r"<span>(.*?)</span>", page)

    assert "photo.jpg" in names
    assert "a/b/deep.png" in names
    assert "notes.txt" not in names
    assert ".hidden.png" not in names


def test_every_thumbnail_and_static_file_is_there(client):
    page = client.get("/").text
    found = re.findall(r'(?:src|href)="(?:\./)?((?:files:|static/)[^"]*)"', page)

    assert len(found) > 5
    for path in found:
        expected = {422} if "broken" in path else {404} if "leaving" in path else {200}
        assert client.get("/" + path.replace("&amp;", "&")).status in expected, path


def test_the_viewer_page(client):
    answer = client.get("/?image=files%3Aa%2Fb%2Fdeep.png")

    assert answer.status == 200
    assert 'data-info="iiif/3/files:a%2Fb%2Fdeep.png/info.json"' in answer.text
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert client.get("/static/viewer.js").status == 200
    assert client.get("/static/openseadragon/openseadragon.min.js").status == 200


def test_nothing_is_repeated_unescaped(client):
    page = client.get("/?image=%22%3E%3Cscript%3Ealert(1)%3C/script%3E").text

    assert "<script>alert" not in page
    assert client.get("/?image=%ED%A0%80%FF").status in {200, 400}


def test_static_files_are_those_of_the_package(client):
    for path in ("/static/../app.py", "/static/%2e%2e/start.py", "/static/", "/static/nothing"):
        assert client.get(path).status == 404


def test_pages_go_on_where_the_last_one_ended(client):
    names = re.findall(r"<span>(.*?)</span>", client.get("/?profile=files&after=photo.jpg").text)

    assert names
    assert all(name > "photo.jpg" for name in names)


def test_a_name_without_an_address_is_left_out(server, tmp_path):
    """A file name in Latin-1, as old file systems hold them, can't be part of a URL."""
    drawn_picture(70, 50).save(tmp_path / "good.png")
    os.link(tmp_path / "good.png", os.fsencode(tmp_path) + b"/caf\xe9.png")
    answer = Client(server.directory(tmp_path)).get("/")

    assert answer.status == 200
    assert re.findall(r"<span>(.*?)</span>", answer.text) == ["good.png"]


def test_the_page_is_compressed_for_those_who_ask(client):
    plain, packed = client.get("/"), client.get("/", Accept_Encoding="gzip")

    assert packed.headers["Content-Encoding"] == "gzip"
    assert packed.headers["Vary"] == "Accept-Encoding"
    assert packed.headers["Content-Type"] == "text/html; charset=utf-8"
    assert gzip.decompress(packed.body) == plain.body
