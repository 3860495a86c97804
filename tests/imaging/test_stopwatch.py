"""How long each step took: told by the worker, and believed by nobody further than it has to be."""

from pathlib import Path

import pytest

from iiif_server.imaging.stopwatch import STEPS, Stopwatch, read_steps
from iiif_server.imaging.tasks import RenderSettings, SourceFile, WorkbenchSettings
from iiif_server.imaging.workbench import Workbench
from tests.imaging.helpers import PIXELS_ONLY, Bench, picture


def ticking(monkeypatch: pytest.MonkeyPatch, *moments: float) -> None:
    monkeypatch.setattr("iiif_server.imaging.stopwatch.perf_counter", iter(moments).__next__)


def test_times_of_a_step_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    ticking(monkeypatch, 1.0, 1.5, 3.0, 3.25)
    watch = Stopwatch()
    for _ in range(2):
        with watch.step("scale"):
            pass

    assert watch.to_meta() == {"steps": {"scale": 750_000}}


def test_an_inner_step_is_not_counted_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    ticking(monkeypatch, 0.0, 1.0, 3.0, 4.0, 4.5, 5.0)
    watch = Stopwatch()
    with watch.step("scale"):
        with watch.step("decode"):
            pass
        with watch.step("convert"):
            pass

    assert watch.to_meta() == {"steps": {"scale": 2_500_000, "decode": 2_000_000, "convert": 500_000}}


def test_a_step_that_fails_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    ticking(monkeypatch, 0.0, 2.0)
    watch = Stopwatch()
    with pytest.raises(ValueError, match="no"), watch.step("decode"):
        raise ValueError("no")

    assert read_steps(watch.to_meta()) == {"decode": 2.0}


@pytest.mark.parametrize(
    "told",
    [
        None,
        [1],
        "decode",
        {"decode": -1},
        {"decode": 0.5},
        {"decode": True},
        {"decode": "1"},
        {"decode": 10**40},
        {"rm -rf": 1},
    ],
)
def test_what_is_no_time_is_left_out(told: object) -> None:
    assert read_steps({"steps": told}) == {}
    assert read_steps({}) == {}


@pytest.mark.parametrize(
    ("parameters", "settings", "expected"),
    [
        ("full/max/0/default.jpg", RenderSettings(), {"open", "copy"}),
        ("0,0,64,64/max/0/default.jpg", PIXELS_ONLY, {"open", "decode", "convert", "scale", "encode"}),
        ("full/50,/0/default.png", RenderSettings(), {"open", "decode", "convert", "scale", "encode"}),
    ],
)
def test_a_rendering_tells_its_steps(
    tmp_path: Path, parameters: str, settings: RenderSettings, expected: set[str]
) -> None:
    """And no others than those of the list."""
    picture(300, 200).save(tmp_path / "a.jpg")
    bench = Bench(Workbench(WorkbenchSettings()))
    steps = bench.steps(tmp_path / "a.jpg", parameters, settings)

    assert set(steps) == expected <= set(STEPS)
    assert all(0 <= seconds < 60 for seconds in steps.values())


def test_what_is_decoded_already_takes_no_time(tmp_path: Path) -> None:
    picture(300, 200).save(tmp_path / "a.png")
    bench = Bench(Workbench(WorkbenchSettings()))
    first, second = (bench.steps(tmp_path / "a.png", f"{x},0,64,64/max/0/default.jpg") for x in (0, 64))

    assert {"decode", "convert"} <= set(first)
    assert {"decode", "convert"}.isdisjoint(second)


def test_a_probe_tells_no_steps(tmp_path: Path) -> None:
    picture(30, 20).save(tmp_path / "a.png")
    meta, _ = Workbench(WorkbenchSettings()).probe(SourceFile(str(tmp_path / "a.png"), "1"))

    assert read_steps(meta) == {}
