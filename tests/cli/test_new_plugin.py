"""A new package with a profile type: what it is called, and what is in it."""

import ast
import tomllib
from pathlib import Path, PurePosixPath

import pytest

from iiif_server.cli.main import main
from iiif_server.cli.new_plugin import Names, rendered
from tests.support.paths import REPOSITORY


def new(*arguments):
    with pytest.raises(SystemExit) as ended:
        main(["plugins", "new", *arguments])
    return ended.value.code


@pytest.fixture
def package(tmp_path):
    assert new("my-store2", "--directory", str(tmp_path)) == 0
    return tmp_path / "iiif-server-my-store2"


def texts(package):
    return {
        path.relative_to(package).as_posix(): path.read_text()
        for path in package.rglob("*")
        if path.is_file() and path.suffix != ".png"
    }


def test_it_is_the_example_under_another_name(package):
    assert sorted(texts(package)) == [
        "README.md",
        "config.yaml",
        "pyproject.toml",
        "src/iiif_server_my_store2/__init__.py",
        "tests/test_my_store2.py",
    ]
    example = REPOSITORY / "examples" / "plugin-hello" / "pictures" / "greeting.png"
    assert (package / "pictures" / "greeting.png").read_bytes() == example.read_bytes()


def test_nothing_in_it_says_hello(package):
    assert [name for name, text in texts(package).items() if "hello" in text.lower()] == []


def test_its_names_fit_together(package):
    project = tomllib.loads((package / "pyproject.toml").read_text())
    code = (package / "src" / "iiif_server_my_store2" / "__init__.py").read_text()
    classes = [node.name for node in ast.parse(code).body if isinstance(node, ast.ClassDef)]

    assert project["project"]["name"] == "iiif-server-my-store2"
    assert project["project"]["entry-points"]["iiif_server"] == {"my-store2": "iiif_server_my_store2"}
    assert project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"] == ["src/iiif_server_my_store2"]
    assert classes == ["MyStore2Options", "MyStore2Profile"]
    assert 'ProfileType("my-store2", MyStore2Options, MyStore2Profile)' in code
    assert "class TestMyStore2(ProfileContract)" in (package / "tests" / "test_my_store2.py").read_text()


def test_the_next_commands_are_printed(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a place").mkdir()
    new("cupboard")
    here = capsys.readouterr().out
    new("cupboard", "--directory", "a place")
    there = capsys.readouterr().out

    assert (
        "  pip install --editable './iiif-server-cupboard[test]'\n  pytest ./iiif-server-cupboard\n" in here
    )
    assert "  iiif-server serve --config ./iiif-server-cupboard/config.yaml\n" in here
    assert "  pytest './a place/iiif-server-cupboard'\n" in there


@pytest.mark.parametrize(
    "name",
    [
        "",
        "-x",
        "x-",
        "a--b",
        "My-Store",
        "my_store",
        "1st",
        "ünder",
        "a/b",
        "..",
        "x" * 41,
        "a.b",
        "a\n",
        "a b",
    ],
)
def test_what_can_be_no_name(name, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    status = new("--directory", str(tmp_path), "--", name)
    said = capsys.readouterr().err

    assert (status, len(said.splitlines())) == (1, 1)
    assert "can't be the name of a profile type" in said
    assert list(tmp_path.iterdir()) == []


def test_names_that_are_taken_or_say_too_much(tmp_path, capsys):
    assert new("disk", "--directory", str(tmp_path)) == 1
    assert "iiif-server" in capsys.readouterr().err
    assert new("iiif-server-cupboard", "--directory", str(tmp_path)) == 1
    assert "'cupboard'" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_overwritten(package, tmp_path, capsys):
    (package / "README.md").write_text("mine")
    capsys.readouterr()

    assert new("my-store2", "--directory", str(tmp_path)) == 1
    assert "nothing is overwritten" in capsys.readouterr().err
    assert (package / "README.md").read_text() == "mine"


def test_a_directory_that_is_not_there(tmp_path, capsys):
    assert new("cupboard", "--directory", str(tmp_path / "none")) == 1
    assert capsys.readouterr().err == f"{tmp_path}/none/iiif-server-cupboard: No such file or directory\n"


def test_a_package_is_whole_or_absent(tmp_path, capsys, monkeypatch):
    """What can't be written to its end is taken away again."""
    write_bytes = Path.write_bytes

    def fill_the_disk(path, content):
        if path.suffix == ".png":
            raise OSError(28, "No space left on device", str(path))
        return write_bytes(path, content)

    monkeypatch.setattr(Path, "write_bytes", fill_the_disk)

    assert new("cupboard", "--directory", str(tmp_path)) == 1
    assert "greeting.png: No space left on device" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_the_template_leaves_rubbish_out(tmp_path):
    """What working in the example leaves there is not for others."""
    for name in (".pytest_cache/x.txt", "src/iiif_server_hello/__pycache__/x.pyc", "dist/hello.whl", "a.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("hello")
    files = rendered(tmp_path, Names("other"), PurePosixPath())

    assert [(str(path), content) for path, content in files] == [("a.py", b"other")]
