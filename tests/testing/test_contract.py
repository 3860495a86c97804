"""The contract tells sound profiles from broken ones: no promise of it is empty."""

import inspect
import os
import subprocess
import sys
from xml.etree import ElementTree as ET

import pytest

from iiif_server.testing import ProfileContract
from tests.support.paths import REPOSITORY
from tests.testing.broken_profiles import BROKEN

MODULE = "tests/testing/broken_profiles.py"
FAILURES = [(cls, test, words) for cls, promises in BROKEN.items() for test, words in promises.items()]
PROMISES = [name for name in dir(ProfileContract) if name.startswith("test_")]


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    """What came of each test, by class and name: run once, where an author's own settings are none at all."""
    directory = tmp_path_factory.mktemp("author")
    (directory / "pytest.ini").write_text("[pytest]\n")
    report = directory / "report.xml"
    tests = [f"{MODULE}::{cls}::{test}" for cls, test, _ in FAILURES]
    subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-q", "--noconftest", "-p", "no:cacheprovider"),
            *("-p", "tests.testing.hasty"),
            *("-c", str(directory / "pytest.ini"), "--rootdir", str(REPOSITORY), f"--junitxml={report}"),
            *(f"{MODULE}::TestSound", *tests),
        ],
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        timeout=110,
        check=False,
    )
    return {
        (case.attrib["classname"].rpartition(".")[2], case.attrib["name"]): case
        for case in ET.parse(report).getroot().iter("testcase")
    }


def said(case, kind):
    return "\n".join(f"{found.attrib.get('message')}\n{found.text}" for found in case.findall(kind))


@pytest.mark.e2e
@pytest.mark.parametrize("promise", PROMISES)
def test_a_sound_profile_keeps_the_promise(outcomes, promise):
    case = outcomes["TestSound", promise]

    assert said(case, "failure") + said(case, "error") + said(case, "skipped") == ""


@pytest.mark.e2e
@pytest.mark.parametrize(
    ("cls", "promise", "words"), FAILURES, ids=[f"{cls}-{test}" for cls, test, _ in FAILURES]
)
def test_a_broken_profile_is_found_out(outcomes, cls, promise, words):
    """The test fails, not its set-up, and its words say what is wrong."""
    assert words in said(outcomes[cls, promise], "failure")


def test_no_promise_is_empty():
    """Each can be broken, and is."""
    assert {promise for _, promise, _ in FAILURES} == set(PROMISES)


def test_every_promise_says_what_it_is():
    assert [name for name in PROMISES if not inspect.getdoc(getattr(ProfileContract, name))] == []
