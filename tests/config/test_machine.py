"""How much memory there is: the machine's, or what its control groups leave."""

import os
from pathlib import Path

import pytest

from iiif_server.config.load import directory_config
from iiif_server.config.machine import memory_budget, usable_memory
from iiif_server.profiles.disk import DiskOptions

MIB = 1024**2
MACHINE = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def system(root: Path, groups: str, **limits: str) -> Path:
    """A file system in which the kernel tells of control groups; ``__`` stands for a slash."""
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/self/cgroup").write_text(groups)
    for path, text in limits.items():
        file = root / "sys/fs/cgroup" / path.replace("__", "/").replace("memory_", "memory.", 1)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return root


def test_without_control_groups_it_is_the_machines(tmp_path: Path) -> None:
    assert usable_memory(tmp_path) == MACHINE


def test_the_narrowest_group_above_counts(tmp_path: Path) -> None:
    """Version 2."""
    root = system(tmp_path, "0::/a/b\n", a__memory_max="1048576\n", a__b__memory_max="2097152\n")
    assert usable_memory(root) == MIB


def test_in_a_container_the_mounted_group_counts(tmp_path: Path) -> None:
    """The path is the host's, and is not there."""
    root = system(tmp_path, "0::/../kubepods/pod1\n", memory_max="3145728\n")
    assert usable_memory(root) == 3 * MIB


def test_no_limit_is_none(tmp_path: Path) -> None:
    assert usable_memory(system(tmp_path / "2", "0::/a\n", a__memory_max="max\n")) == MACHINE
    one = system(tmp_path / "1", "4:memory:/a\n")
    (one / "sys/fs/cgroup/memory/a").mkdir(parents=True)
    (one / "sys/fs/cgroup/memory/a/memory.limit_in_bytes").write_text("9223372036854771712\n")
    assert usable_memory(one) == MACHINE


def test_version_1_counts_as_well(tmp_path: Path) -> None:
    root = system(tmp_path, "5:cpu,cpuacct:/\n4:hugetlb,memory:/a\n0::/\n")
    for directory, limit in (("memory/a", 5 * MIB), ("memory", 7 * MIB)):
        (root / "sys/fs/cgroup" / directory).mkdir(parents=True, exist_ok=True)
        (root / "sys/fs/cgroup" / directory / "memory.limit_in_bytes").write_text(f"{limit}\n")
    assert usable_memory(root) == 5 * MIB


def test_the_budget_is_half_of_it_or_what_is_configured(tmp_path: Path) -> None:
    config = directory_config(tmp_path, {"disk": DiskOptions})
    assert memory_budget(config) == usable_memory() // 2
    assert memory_budget(config.model_copy(update={"image_memory_budget": 300 * MIB})) == 300 * MIB


@pytest.mark.parametrize("workers", [1, 1000])
def test_each_worker_has_what_light_work_needs_however_small_the_machine(
    tmp_path: Path, workers: int
) -> None:
    config = directory_config(tmp_path, {"disk": DiskOptions}).model_copy(update={"image_pool_size": workers})
    assert memory_budget(config) >= workers * 64 * MIB
