"""The metrics that are read off other parts' own counts when somebody asks: counting costs nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from prometheus_client import CollectorRegistry, Counter, Gauge

Statistics = Mapping[str, Mapping[str, float]]
"""Counts by name, by the part of the server that they are of: ``pool``, ``memory``, ``disk``, and so on."""


@dataclass(frozen=True, slots=True)
class Sampled:
    """A metric whose value stands in the statistics of some part.

    Attributes:
        name: of the metric; counters end in ``_total`` when they are told.
        help: what it means.
        key: the name of the value in the statistics.
        parts: the parts of the server that have it: the values of the label, if there is one.
        label: by what the parts are told apart; empty if there is one only.
        kind: of metric.
        across: how a gauge's values of several processes become one.
    """

    name: str
    help: str
    key: str
    parts: tuple[str, ...]
    label: str = ""
    kind: Literal["counter", "gauge"] = "gauge"
    across: Literal["livesum", "livemax"] = "livesum"

    def declare(self, registry: CollectorRegistry) -> Counter | Gauge:
        """Make the metric."""
        labels = (self.label,) if self.label else ()
        if self.kind == "counter":
            return Counter(self.name, self.help, labels, registry=registry)
        return Gauge(self.name, self.help, labels, registry=registry, multiprocess_mode=self.across)

    def values(self, statistics: Statistics) -> Iterator[tuple[tuple[str, ...], float]]:
        """Label values and value of each part that has one."""
        for part in self.parts:
            if (value := statistics.get(part, {}).get(self.key)) is not None:
                yield ((part,) if self.label else ()), value


def _pool(name: str, key: str, text: str) -> Sampled:
    return Sampled(f"iiif_{name}", text, key, ("pool",))


def _pool_count(name: str, key: str, text: str) -> Sampled:
    return Sampled(f"iiif_{name}", text, key, ("pool",), kind="counter")


def _connections(name: str, key: str, text: str, kind: Literal["counter", "gauge"] = "counter") -> Sampled:
    return Sampled(f"iiif_connections{name}", text, key, ("connections",), kind=kind)


def _cache_count(name: str, key: str, text: str, parts: tuple[str, ...] = ("disk",)) -> Sampled:
    return Sampled(f"iiif_cache_{name}", text, key, parts, "cache", "counter")


def _memory(key: str, text: str) -> Sampled:
    return Sampled(f"iiif_memory_cache_{key}", text, key, ("memory",))


def _disk(key: str, text: str) -> Sampled:
    return Sampled(f"iiif_disk_cache_{key}", text, key, ("disk",), across="livemax")


_BOTH: Final = ("memory", "disk")

SAMPLED: Final = (
    Sampled("iiif_requests_in_progress", "Requests that are being answered.", "in_progress", ("requests",)),
    _connections("", "open", "Connections of clients and proxies.", kind="gauge"),
    _connections("_accepted", "accepted", "Connections that were made."),
    _connections("_refused", "refused", "Connections that there was no place for."),
    _connections("_evicted", "evicted", "Connections that were closed to make room for others."),
    _connections("_late", "late", "Connections on which the head of a request was not complete in time."),
    _connections("_stalled", "stalled", "Connections whose client took nothing of its answer."),
    _cache_count("hits", "hits", "Images that were found in a cache.", _BOTH),
    _cache_count("misses", "misses", "Images that were looked for in a cache in vain.", _BOTH),
    _cache_count("evicted", "evicted", "Images that made room for others."),
    _cache_count("damaged", "damaged", "Damaged files that were removed."),
    _cache_count("failures", "failures", "Times that the disk refused to be read or written."),
    Sampled(
        "iiif_cache_writes_skipped",
        "Images that were not written to disk, because it was too slow for them.",
        "skipped",
        ("pending",),
        kind="counter",
    ),
    _memory("bytes", "Bytes of the images that the memory cache holds."),
    _memory("entries", "Images that the memory cache holds."),
    _memory("max_bytes", "Bytes that the memory cache may hold."),
    _disk("known_bytes", "Bytes in those parts of the disk cache that were written to since the start."),
    _disk("max_bytes", "Bytes that the disk cache may hold. All processes share it."),
    _disk("failing", "1 if the disk cache could not be written at the last attempt."),
    _pool("queue_waiting", "waiting", "Pieces of image work that wait for a worker."),
    _pool("queue_capacity", "capacity", "How many may wait; beyond it, requests are answered with 503."),
    _pool("workers", "workers", "Worker processes that there should be."),
    _pool("workers_ready", "ready", "Worker processes that there are."),
    _pool("workers_busy", "busy", "Worker processes that are at work."),
    _pool("workers_heavy", "heavy", "Worker processes that are at long work."),
    _pool("image_memory_budget_bytes", "memory_budget", "Bytes that image work may take."),
    _pool(
        "image_memory_claimed_bytes",
        "memory_claimed",
        "Bytes of it that are set aside: for what workers keep, and for what the work at hand needs besides.",
    ),
    _pool(
        "memory_waiting", "waiting_for_memory", "Pieces of image work that wait because memory is claimed."
    ),
    _pool("sources_set_aside", "quarantined", "Sources that are refused because they killed workers."),
    _pool_count("worker_restarts", "restarts", "Worker processes that took another's place."),
    _pool_count("worker_deaths", "deaths", "Worker processes that died over a task."),
    _pool_count("worker_recycled", "recycled", "Worker processes that were replaced when they had grown."),
    _pool_count("tasks", "tasks", "Pieces of image work that workers answered."),
    _pool_count("tasks_timed_out", "timeouts", "Pieces of image work that took too long."),
    _pool_count("tasks_retried", "retries", "Pieces of image work that were begun again in another worker."),
    _pool_count(
        "tasks_refused_for_memory",
        "refused_for_memory",
        "Pieces of image work that were refused because they would take more memory than there is.",
    ),
    _pool_count("tasks_refused", "refused", "Pieces of image work that were refused, the queue being full."),
    Sampled(
        "iiif_log_lines_dropped",
        "Log lines that nobody took fast enough.",
        "dropped",
        ("log",),
        kind="counter",
    ),
)
"""In the order of the reference."""
