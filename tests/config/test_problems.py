"""What is said of each mistake: file, line, key, what is wrong, and how to mend it."""

from collections.abc import Callable

import pytest

from iiif_server.config.model import Config
from iiif_server.iiif.ladder import Limits
from iiif_server.profiles.derivatives import effective

Problems = Callable[..., list[str]]

DISK = "profiles: {a: {type: disk, rights: x}}\n"

TOP_LEVEL = [
    ("", "config.yaml: empty; `iiif-server config example` shows what to begin with"),
    ("# nothing\n", "config.yaml: empty; `iiif-server config example` shows what to begin with"),
    ("- a\n", "config.yaml:1: want lines such as 'base_url: https://example.org', got a list"),
    ("\nhello\n", "config.yaml:2: want lines such as 'base_url: https://example.org', got 'hello'"),
    (
        "gallery: true\n",
        (
            "config.yaml: profiles: missing; name at least one profile, with its 'type' (disk, store) and "
            "'rights'"
        ),
    ),
    (
        "profiles:\n",
        (
            "config.yaml:1: profiles: missing; name at least one profile, with its 'type' (disk, store) and "
            "'rights'"
        ),
    ),
    (
        "profiles: [a]\n",
        "config.yaml:1: profiles: want a mapping of profile names to their options, got a list",
    ),
    (
        "profile: {a: {type: disk, rights: x}}\n",
        "config.yaml:1: profile: unknown key; did you mean 'profiles'?",
    ),
]

SYNTAX = [
    (
        "a: [1,\n",
        (
            "config.yaml:2:1: not valid YAML: while parsing a flow node, expected the node content, but "
            "found "
            "'<stream end>'"
        ),
    ),
    ("a: b: c\n", "config.yaml:1:5: not valid YAML: mapping values are not allowed here"),
    (
        "a: 1\n\tb: 2\n",
        (
            "config.yaml:2:1: not valid YAML: while scanning for the next token, found character '\\t' that "
            "cannot "
            "start any token"
        ),
    ),
    ("a: *nope\n", "config.yaml:1:4: not valid YAML: found undefined alias 'nope'"),
    ("a: 1\nb: \x01\n", "config.yaml:2: not valid YAML: special characters are not allowed"),
    ("[" * 1100, "config.yaml: nested too deeply"),
    (b"a: 1\nb: \xff\n", "config.yaml:2: not UTF-8 text; save the file as UTF-8"),
    (b"\xff\xfea\0", "config.yaml:1: not UTF-8 text; save the file as UTF-8"),
    (b"#" * (1024**2 + 1), "config.yaml: larger than 1048576 bytes; is this the right file?"),
]

KEYS_AND_VALUES = [
    ("base_uri: x\n", "config.yaml:1: base_uri: unknown key; did you mean 'base_url'?"),
    (
        "nonsense: 1\n",
        "config.yaml:1: nonsense: unknown key; remove it (`iiif-server config example` shows every key)",
    ),
    (
        "cache_for: 9\n",
        "config.yaml:1: cache_for: unknown key; it belongs to a profile, as profiles.<name>.cache_for",
    ),
    ("image_pool_size: ten\n", "config.yaml:1: image_pool_size: want a whole number, got 'ten'"),
    ("image_pool_size: true\n", "config.yaml:1: image_pool_size: want a whole number, got true"),
    ("image_pool_size: '2'\n", "config.yaml:1: image_pool_size: want a whole number, got '2'"),
    ("image_pool_size: 1.5\n", "config.yaml:1: image_pool_size: want a whole number, got 1.5"),
    ("image_pool_size:\n", "config.yaml:1: image_pool_size: want a whole number, got nothing"),
    ("image_pool_size: {}\n", "config.yaml:1: image_pool_size: want a whole number, got a mapping"),
    ("image_pool_size: -1\n", "config.yaml:1: image_pool_size: want at least 1, got -1"),
    ("image_pool_size: 5000\n", "config.yaml:1: image_pool_size: want at most 1024, got 5000"),
    ("cache_path: ''\n", "config.yaml:1: cache_path: want a path, got ''"),
    (
        "max_source_bytes: 99999999999 TiB\n",
        "config.yaml:1: max_source_bytes: want fewer bytes than any disk has, got '99999999999 TiB'",
    ),
    ("jpeg_quality: 101\n", "config.yaml:1: jpeg_quality: want at most 100, got 101"),
    ("image_timeout: 0\n", "config.yaml:1: image_timeout: want more than 0, got 0"),
    ("image_timeout: .inf\n", "config.yaml:1: image_timeout: want a finite number, got inf"),
    ("image_timeout: soon\n", "config.yaml:1: image_timeout: want a number, got 'soon'"),
    ("gallery: yes\n", "config.yaml:1: gallery: want true or false, got 'yes'"),
    (
        "log_level: loud\n",
        "config.yaml:1: log_level: want 'DEBUG', 'INFO', 'WARNING', 'ERROR' or 'CRITICAL', got 'loud'",
    ),
    (
        "background: white\n",
        "config.yaml:1: background: want a colour as '#rrggbb', got 'white'",
    ),
    (
        "base_url: example.org\n",
        (
            "config.yaml:1: base_url: want an http:// or https:// address without query, fragment or "
            "credentials, "
            "got 'example.org'"
        ),
    ),
    ("base_url: 5\n", "config.yaml:1: base_url: want text, got 5"),
    (
        "disk_cache_size: 12 apples\n",
        (
            "config.yaml:1: disk_cache_size: want a number of bytes, or one with a unit such as '512 MiB' "
            "or '10 GB', "
            "got '12 apples'"
        ),
    ),
    (
        "trusted_proxies:\n  - 10.0.0.0/8\n  - 10.0.0.1/8\n",
        (
            "config.yaml:3: trusted_proxies[1]: want a network without host bits, such as '10.0.0.0/8', "
            "got '10.0.0.1/8'"
        ),
    ),
    (
        "trusted_proxies: [proxy]\n",
        "config.yaml:1: trusted_proxies[0]: want an IP address or network such as '10.0.0.0/8', got 'proxy'",
    ),
    ("trusted_proxies: 10.0.0.1\n", "config.yaml:1: trusted_proxies: want a list, got '10.0.0.1'"),
    ("max_height: 9\n", "config.yaml:1: max_height: works only together with max_width; set that as well"),
    (
        "image_cache_bytes_per_process: 2 GiB\n",
        (
            "config.yaml: image_worker_max_memory: 1.5 GiB leaves less than 128 MiB beside "
            "image_cache_bytes_per_process (2 GiB), so that workers would be replaced all the time; "
            "raise it or lower the other"
        ),
    ),
    (
        "image_pool_size: 8\nimage_memory_budget: 500 MiB\n",
        (
            "config.yaml:2: image_memory_budget: 500 MiB is less than 64 MiB for each of 8 worker processes; "
            "raise it or lower image_pool_size"
        ),
    ),
    (
        "jpeg_subsampling: '4:1:1'\n",
        "config.yaml:1: jpeg_subsampling: want '4:4:4', '4:2:2' or '4:2:0', got '4:1:1'",
    ),
    ("jpeg_progressive: 1\n", "config.yaml:1: jpeg_progressive: want true or false, got 1"),
    ("png_compression: 10\n", "config.yaml:1: png_compression: want at most 9, got 10"),
    ("webp_effort: 7\n", "config.yaml:1: webp_effort: want at most 6, got 7"),
    ("avif_effort: -1\n", "config.yaml:1: avif_effort: want at least 0, got -1"),
    ("jp2_quality: 0\n", "config.yaml:1: jp2_quality: want at least 1, got 0"),
    (
        "tif_compression: zip\n",
        "config.yaml:1: tif_compression: want 'deflate', 'lzw' or 'none', got 'zip'",
    ),
    ("metadata: all\n", "config.yaml:1: metadata: want 'strip' or 'keep', got 'all'"),
    (
        "preferred_formats: [webp,\n  jpeg]\n",
        (
            "config.yaml:2: preferred_formats[1]: want 'jpg', 'png', 'webp', 'tif', 'gif', 'avif', 'jp2' or "
            "'pdf', got 'jpeg'"
        ),
    ),
    ("preferred_formats: [png, webp, png]\n", "config.yaml:1: preferred_formats: want each format once"),
    ("preferred_formats: webp\n", "config.yaml:1: preferred_formats: want a list, got 'webp'"),
    ("source_path: 5\n", "config.yaml:1: source_path: want text, got 5"),
    (
        'source_path: "a\\0"\n',
        "config.yaml:1: source_path: want a path without a null character, got 'a\\x00'",
    ),
    (
        "default_profile: b\n",
        "config.yaml:1: default_profile: no profile is called 'b'; profiles: a",
    ),
    (
        "gallery: true\ngallery: false\n",
        "config.yaml:1: gallery: given again on line 2; remove one of the two",
    ),
    ("gallery: !yes true\n", "config.yaml:1: gallery: the tag '!yes' is not understood; remove it"),
    (
        "gallery: !!python/none x\n",
        "config.yaml:1: gallery: the tag 'python/none' is not understood; remove it",
    ),
    ("image_pool_size: !!int x\n", "config.yaml:1: image_pool_size: can't be read, got 'x'"),
    (
        f"image_pool_size: {10**20}\n",
        "config.yaml:1: image_pool_size: the number is too large, got '100000000000000000000'",
    ),
    ('base_url: "\\ud800"\n', "config.yaml:1: base_url: holds half a character, got '\\ud800'"),
    ("? [a]\n: 1\n", "config.yaml:1: the key on line 1 is not text; keys are words"),
    ("<<: 5\n", "config.yaml:1: '<<' on line 1 wants an alias of a mapping, such as '*defaults'"),
    (
        f"base_url: {'x' * 100}\n",
        (
            "config.yaml:1: base_url: want an http:// or https:// address without query, fragment or "
            "credentials, "
            f"got '{'x' * 58}…"
        ),
    ),
]

PROFILES = [
    (
        "profiles:\n  a: {type: disk, rights: x, path: ''}\n",
        "config.yaml:2: profiles.a.path: want a path, got ''",
    ),
    (
        "profiles:\n  herbarium:\n    type: disk\n    rihgts: x\n",
        "config.yaml:4: profiles.herbarium.rihgts: unknown key; did you mean 'rights'?",
    ),
    (
        "profiles:\n  a:\n    type: disk\n    rights: x\n    qqq: 1\n",
        (
            "config.yaml:5: profiles.a.qqq: unknown key; remove it "
            "(`iiif-server config example` shows every key)"
        ),
    ),
    (
        "profiles:\n  a:\n    type: disk\n    rights: x\n    gallery: true\n",
        "config.yaml:5: profiles.a.gallery: unknown key; it belongs to the top level of the file",
    ),
    (
        "\nprofiles:\n  a:\n    type: disk\n",
        (
            "config.yaml:3: profiles.a.rights: missing; add it, for example "
            "'rights: http://creativecommons.org/licenses/by/4.0/'"
        ),
    ),
    (
        "profiles:\n  a:\n    rights: x\n",
        "config.yaml:2: profiles.a.type: missing; installed types: disk, store",
    ),
    (
        "profiles:\n  a:\n    typ: disk\n    rights: x\n",
        "config.yaml:2: profiles.a.type: missing; is 'typ' meant to be 'type'? installed types: disk, store",
    ),
    (
        "profiles:\n  a: {type: 5, rights: x}\n",
        "config.yaml:2: profiles.a.type: want the name of a profile type, got 5",
    ),
    (
        "profiles:\n  a: {type: dsik, rights: x}\n",
        (
            "config.yaml:2: profiles.a.type: unknown profile type 'dsik'; did you mean 'disk'? "
            "installed types: disk, store"
        ),
    ),
    (
        "profiles:\n  a: {type: s3, rights: x}\n",
        (
            "config.yaml:2: profiles.a.type: unknown profile type 's3'; installed types: disk, store; "
            "others come with plugins: install the package that has it"
        ),
    ),
    (
        "profiles:\n  a:\n",
        "config.yaml:2: profiles.a: want a mapping with at least 'type' and 'rights', got nothing",
    ),
    (
        "profiles:\n  'a:b': {type: disk, rights: x}\n",
        (
            "config.yaml:2: profiles.a:b: a profile's name begins with a letter or digit, and holds only "
            "those, '.', "
            "'_' and '-'"
        ),
    ),
    (
        "profiles:\n  ..: {type: disk, rights: x}\n",
        (
            "config.yaml:2: profiles...: a profile's name begins with a letter or digit, and holds only "
            "those, '.', "
            "'_' and '-'"
        ),
    ),
    (
        "profiles:\n  a: {type: disk, rights: ''}\n",
        "config.yaml:2: profiles.a.rights: want some text, got ''",
    ),
    (
        "profiles:\n  a: {type: disk, rights: x, cache_for: -1}\n",
        "config.yaml:2: profiles.a.cache_for: want at least 0, got -1",
    ),
    (
        "profiles:\n  a: {type: disk, rights: x, source_check_interval: 11}\n",
        "config.yaml:2: profiles.a.source_check_interval: want at most 10, got 11",
    ),
    (
        "profiles:\n  a: {type: disk, rights: x, path: 1}\n",
        "config.yaml:2: profiles.a.path: want text, got 1",
    ),
    (
        "profiles:\n  a: {type: store, rights: x, hosts: []}\n",
        "config.yaml:2: profiles.a.hosts: want at least one entry, got a list",
    ),
    (
        "profiles:\n  a: {type: store, rights: x, hosts: [h,\n   5]}\n",
        "config.yaml:3: profiles.a.hosts[1]: want text, got 5",
    ),
    (
        "profiles:\n  a: {type: store, rights: x, hosts: [h], mode: fats}\n",
        "config.yaml:2: profiles.a.mode: want 'fast' or 'slow', got 'fats'",
    ),
    (
        "profiles:\n  a: {type: store, rights: x, hosts: [h], limit: true}\n",
        "config.yaml:2: profiles.a.limit: want a whole number or text, got true",
    ),
    (
        "profiles:\n  a: {type: store, rights: x, hosts: [h], retry: {atempts: 3}}\n",
        "config.yaml:2: profiles.a.retry.atempts: unknown key; did you mean 'attempts'?",
    ),
    (
        "profiles:\n  a: {type: store, rights: x, hosts: [h], retry: 3}\n",
        "config.yaml:2: profiles.a.retry: want a mapping of keys to values, got 3",
    ),
]


PLACEHOLDERS = "{id}, {identifier}, {name}, {page}, {profile}, {base_url}"

OPTIONS = [
    ("jpeg_quality: 0", "4: profiles.a.jpeg_quality: want at least 1, got 0"),
    ("background: blue", "4: profiles.a.background: want a colour as '#rrggbb', got 'blue'"),
    ("max_area: 0", "4: profiles.a.max_area: want at least 1, got 0"),
    ("preferred_formats: [gif, gif]", "4: profiles.a.preferred_formats: want each format once"),
    (
        "max_height: 9",
        (
            "4: profiles.a.max_height: works only together with max_width; set that here or at the top "
            "level as well"
        ),
    ),
    ("physical_scale: mm", "4: profiles.a.physical_scale: want true or false, got 'mm'"),
    ("part_of: {id: x}", "4: profiles.a.part_of: want a list, got a mapping"),
    ("part_of: [manifest]", "4: profiles.a.part_of[0]: want a mapping of keys to values, got 'manifest'"),
    (
        "part_of:\n      - id: https://example.org",
        "5: profiles.a.part_of[0].type: missing; add it: Its type, such as `Manifest` or `Dataset`",
    ),
    (
        "part_of:\n      - type: Manifest",
        "5: profiles.a.part_of[0].id: missing; add it: The URI of what is linked to",
    ),
    (
        "part_of:\n      - type: Manifest\n        id: m/{name}",
        (
            "6: profiles.a.part_of[0].id: want an address with its scheme, such as "
            "'https://example.org/{name}', got 'm/{name}'"
        ),
    ),
    (
        "see_also:\n      - type: Dataset\n        id: https://example.org/{nmae}.xml",
        (
            f"6: profiles.a.see_also[0].id: unknown placeholder {{nmae}}; placeholders: {PLACEHOLDERS}, got "
            "'https://example.org/{nmae}.xml'"
        ),
    ),
    (
        "see_also:\n      - {type: Dataset, id: 'https://example.org/', fromat: text/xml}",
        "5: profiles.a.see_also[0].fromat: unknown key; did you mean 'format'?",
    ),
    (
        "see_also:\n      - {type: Dataset, id: 'https://example.org/', label: Record}",
        "5: profiles.a.see_also[0].label: want a mapping of keys to values, got 'Record'",
    ),
    (
        "see_also:\n      - type: Dataset\n        id: https://a.org/\n        label:\n          en: ['{ b']",
        (
            f"8: profiles.a.see_also[0].label.en[0]: a lone '{{': write it twice, or a placeholder: "
            f"{PLACEHOLDERS}, got '{{ b'"
        ),
    ),
    (
        "service:\n      - {profile: 'https://example.org/p'}",
        "5: profiles.a.service[0]: want an 'id' and a 'type', or an '@id' and an '@type'",
    ),
    (
        "service:\n      - {id: 'https://example.org/p', '@type': Service}",
        "5: profiles.a.service[0]: want an 'id' and a 'type', or an '@id' and an '@type'",
    ),
    (
        "service:\n      - '@type': Service\n        '@id': s",
        (
            "6: profiles.a.service[0].@id: want an address with its scheme, such as "
            "'https://example.org/{name}', got 's'"
        ),
    ),
    ("service:\n      - {id: 'https://x.org', type: 5}", "5: profiles.a.service[0].type: want text, got 5"),
    (
        "service:\n      - id: https://example.org\n        type: Service\n        size: .nan",
        "7: profiles.a.service[0].size: want a finite number, got nan",
    ),
    (
        "service:\n      - id: https://a.org\n        type: S\n        more: [\n      {deep: ['name}']}]",
        (
            f"8: profiles.a.service[0].more[0].deep[0]: a lone '}}': write it twice, or a placeholder: "
            f"{PLACEHOLDERS}, got 'name}}'"
        ),
    ),
]


@pytest.mark.parametrize(("option", "line"), OPTIONS)
def test_options_of_a_profile(option: str, line: str, problems_of: Problems) -> None:
    content = f"profiles:\n  a:\n    type: disk\n    {option}\n    rights: x\n"

    assert problems_of(content) == [f"config.yaml:{line}"]


def test_several_mistakes_in_one_service(problems_of: Problems) -> None:
    content = (
        "profiles:\n  a:\n    type: disk\n    rights: x\n    service:\n"
        "    - id: s\n      type: Service\n      label: '{'\n"
    )

    assert [problem.split(": ")[:2] for problem in problems_of(content)] == [
        ["config.yaml:6", "profiles.a.service[0].id"],
        ["config.yaml:8", "profiles.a.service[0].label"],
    ]


def test_limits_of_a_profile_fit_with_those_of_the_top_level(load: Callable[..., Config]) -> None:
    config = load("max_width: 9\nprofiles:\n  a: {type: disk, rights: x, max_height: 5}\n")

    assert effective(config, config.profiles["a"].options).limits == Limits(9, 5, 100_000_000)


def test_a_mistake_at_the_top_level_does_not_hide_or_invent_one_in_a_profile(problems_of: Problems) -> None:
    profile = "profiles:\n  a: {type: disk, rights: x, max_height: 5, cache_for: -1}\n"

    assert [problem.split(": ")[1] for problem in problems_of(f"max_width: many\n{profile}")] == [
        "max_width",
        "profiles.a.cache_for",
    ]


@pytest.mark.parametrize(("content", "line"), [*TOP_LEVEL, *SYNTAX, *PROFILES])
def test_whole_files(content: str | bytes, line: str, problems_of: Problems) -> None:
    assert problems_of(content) == [line]


@pytest.mark.parametrize(("content", "line"), KEYS_AND_VALUES)
def test_single_keys(content: str, line: str, problems_of: Problems) -> None:
    assert problems_of(content + DISK) == [line]


def test_all_mistakes_at_once_in_the_order_of_the_file(problems_of: Problems) -> None:
    content = """\
default_profile: herbarum
image_pool_size: ten
gallery: true
gallery: false
profiles:
  herbarium:
    type: disk
    cache_for: -1
  maps:
    type: tape
    log_level: loud
trusted_proxys: []
"""

    assert problems_of(content) == [
        (
            "config.yaml:1: default_profile: no profile is called 'herbarum'; did you mean 'herbarium'? "
            "profiles: herbarium, maps"
        ),
        "config.yaml:2: image_pool_size: want a whole number, got 'ten'",
        "config.yaml:3: gallery: given again on line 4; remove one of the two",
        (
            "config.yaml:6: profiles.herbarium.rights: missing; add it, for example "
            "'rights: http://creativecommons.org/licenses/by/4.0/'"
        ),
        "config.yaml:8: profiles.herbarium.cache_for: want at least 0, got -1",
        (
            "config.yaml:9: profiles.maps.rights: missing; add it, for example "
            "'rights: http://creativecommons.org/licenses/by/4.0/'"
        ),
        (
            "config.yaml:10: profiles.maps.type: unknown profile type 'tape'; installed types: disk, store; "
            "others come with plugins: install the package that has it"
        ),
        (
            "config.yaml:11: profiles.maps.log_level: want 'DEBUG', 'INFO', 'WARNING', 'ERROR' or "
            "'CRITICAL', "
            "got 'loud'"
        ),
        "config.yaml:12: trusted_proxys: unknown key; did you mean 'trusted_proxies'?",
    ]


def test_a_plugin_that_did_not_load_is_named_beside_an_unknown_type(problems_of: Problems) -> None:
    failures = {"mss (iiif-server-mss 1.0)": "ImportError: no module\nnamed x"}

    assert problems_of("profiles:\n  a: {type: mss, rights: x}\n", failures) == [
        (
            "config.yaml:2: profiles.a.type: unknown profile type 'mss'; installed types: disk, store; "
            "the plugin mss (iiif-server-mss 1.0) could not be loaded: ImportError: no module named x"
        )
    ]


def test_a_plugin_that_did_not_load_is_no_problem_unless_it_is_needed(load: Callable[..., object]) -> None:
    assert load(DISK, {"mss": "ImportError"})


def test_aliases_that_multiply_are_refused(problems_of: Problems) -> None:
    bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
        f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 12)
    )

    assert problems_of(bomb) == [
        "config.yaml: more than 50000 values, aliases followed; is this the right file?"
    ]


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ("a: &a [*a]\n", "config.yaml: nested more than 32 levels deep"),
        ("a: &a\n  <<: *a\n", "config.yaml: nested more than 32 levels deep"),
    ],
)
def test_aliases_of_themselves_are_refused(content: str, line: str, problems_of: Problems) -> None:
    assert problems_of(content) == [line]
