"""Names lead to URLs that the operator meant, or nowhere."""

import pytest
from iiif_server_http.urls import AllowList, Template, origin_of, parse, shown
from yarl import URL

from iiif_server.api import ImageNotFound

CLIMBING = [
    *("..", ".", "../x", "a/../b", "a/..", "..\\x", "a\\..\\b", "%2e%2e/x", "..%2fx", "%252e%252e%252fx"),
    *("..%5cx", "%00", "a%00.jpg", "a\0", "a\r\nHost: b", "a%0d%0aHost:%20b", "a\tb", "\x7f", "a\x85b"),
    *(
        "\u2024\u2024/x",
        "\uff0e\uff0e/x",
        "\uff0e\uff0e\uff0fx",
        "..\uff0f..\uff0fx",
        "\u2025/x",
        "\udcff",
        "",
        "x" * 2001,
        "é" * 1001,
    ),
]

ELSEWHERE = [
    *("https://b.example.org/pub/x", "http://a.example.org/pub/x", "https://a.example.org:444/pub/x"),
    *("https://a.example.org/x", "https://a.example.org/public/x", "https://a.example.org/", "x"),
    *("https://a.example.org@b.example.org/pub/x", "https://u:p@a.example.org/pub/x"),
    *("https://a.example.org:80@b.example.org/pub/x", "https://b.example.org#@a.example.org/pub/x"),
    *("https://b.example.org\\@a.example.org/pub/x", "https://a.example.org\\.b.example.org/pub/x"),
    *(
        "https://a.example.org/pub/x#y",
        "https://a.example.org/pub/../x",
        "https://a.example.org/pub/%2e%2e/x",
    ),
    *("https://a.example.org/pub/..%2fx", "https://a.example.org/pub/%252e%252e/x"),
    *(
        "https://a.example.org/pub/\uff0e\uff0e/x",
        "https://a\u3002example\u3002org/pub/x",
        "https://\uff41.example.org/pub/x",
    ),
    *("https://a.example.org./pub/x", "//a.example.org/pub/x", "https:a.example.org/pub/x"),
    *("ftp://a.example.org/pub/x", "file:///etc/passwd", "javascript:alert(1)", "data:image/png,x"),
    *("https://a.example.org/pub/a b", "https://a.example.org/pub/%00", "https://a.example.org:99999/pub/x"),
    *("https://a.example.org:/pub/x", "https:///pub/x", "https://[::1]/pub/x", "https://2130706433/pub/x"),
    *(" https://a.example.org/pub/x", "https://a.example.org/pub/x\n", "https://a.example.org/pub/x?a=/../b"),
]


class TestTemplate:
    @pytest.mark.parametrize(
        ("template", "name", "url"),
        [
            ("https://a.org/{name}.jpg", "x", "https://a.org/x.jpg"),
            ("https://a.org/{name}", "a/b?c#d&e=%f@g:h", "https://a.org/a%2Fb%3Fc%23d%26e%3D%25f%40g%3Ah"),
            ("https://a.org/ü/%20/{name}?é", "ü", "https://a.org/%C3%BC/%20/%C3%BC?%C3%A9"),
            ("https://a.org/{path}", "a/b c/ü?.tif", "https://a.org/a/b%20c/%C3%BC%3F.tif"),
            ("https://a.org/get?id={name}&k=v", "1&k=w", "https://a.org/get?id=1%26k%3Dw&k=v"),
            ("http://a.org:81/{name}/full.jpg", "...", "http://a.org:81/.../full.jpg"),
            ("https://[2a00::1]/{name}", "http://b.org/x"[7:], "https://[2a00::1]/b.org%2Fx"),
        ],
    )
    def test_a_name_is_one_part_of_it(self, template, name, url):
        assert str(Template(template).url(name)) == url

    @pytest.mark.parametrize("template", ["https://a.org/{name}/f.jpg", "https://a.org/s/{path}"])
    @pytest.mark.parametrize(
        "name", [*CLIMBING, "/", "/a", "a/", "a//b", "a\\\\b", "//b.org/x", "http://b.org/x"]
    )
    def test_no_name_leaves_it(self, template, name):
        with pytest.raises(ImageNotFound):
            Template(template).url(name)

    @pytest.mark.parametrize(
        "template",
        [
            *("", "x", "{name}", "https://a.org/", "https://{name}/x", "https://{name}.a.org/x"),
            *(
                "https://a.org:{name}/",
                "https://{name}@a.org/",
                "https://a.org/{name}#x",
                "ftp://a.org/{name}",
            ),
            *("https://u:p@a.org/{name}", "https://a.org/{name}/{path}", "https://a.org/{name}{name}"),
            *("{name}://a.org/", "https://a.org/{other}", "https://a.org\\{name}", "https://?{name}"),
        ],
    )
    def test_what_is_no_template_is_refused(self, template):
        with pytest.raises(ValueError, match="want"):
            Template(template)

    def test_redirects_stay_at_the_origin(self):
        template = Template("https://a.org/s/{name}")

        assert template.allows(URL("https://a.org:443/elsewhere"))
        assert not any(map(template.allows, map(URL, ("http://a.org/s/x", "https://b.org/s/x", "/s/x"))))


class TestAllowList:
    @pytest.mark.parametrize(
        ("name", "url"),
        [
            ("https://a.example.org/pub/x.jpg", "https://a.example.org/pub/x.jpg"),
            ("https://A.Example.org:443/pub/x", "https://a.example.org/pub/x"),
            ("https://a.example.org/pub/ü/x%20y?z=1", "https://a.example.org/pub/%C3%BC/x%20y?z=1"),
            ("http://b.example.org:81/x", "http://b.example.org:81/x"),
        ],
    )
    def test_what_begins_so_is_allowed(self, name, url):
        rules = AllowList(["https://a.example.org/pub/", "http://b.example.org:81/"])

        assert origin_of(rules.url(name)) == origin_of(URL(url))
        assert rules.url(name).raw_path_qs == URL(url, encoded=True).raw_path_qs

    @pytest.mark.parametrize("name", [*CLIMBING, *ELSEWHERE])
    def test_all_else_is_not(self, name):
        with pytest.raises(ImageNotFound):
            AllowList(["https://a.example.org/pub/"]).url(name)

    def test_nothing_is_allowed_by_an_empty_list(self):
        assert not AllowList([]).allows(URL("https://a.example.org/"))


def test_secrets_are_not_shown():
    assert shown(URL("https://user:word@a.org/x?key=secret#y")) == "https://a.org/x"
    assert "word" not in shown(parse("https://a.org/x?pass=word"))
