"""What is counted, for Prometheus. Every metric is declared here; the reference is made from this."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Final, NamedTuple

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)

from iiif_server import __version__
from iiif_server.errors import ConfigurationError
from iiif_server.telemetry.processes import all_processes
from iiif_server.telemetry.sampled import SAMPLED, Statistics
from iiif_server.telemetry.sharing import VARIABLE, multiprocess_directory

__all__ = ["CONTENT_TYPE", "Metrics", "RequestKey", "create_metrics"]

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
"""Of the text format, which every Prometheus and everything that reads its metrics understands."""

_REQUEST_BUCKETS: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_WORK_BUCKETS: Final = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)

# When a counter was made is a series of its own for each of them, of which nobody makes any use.
disable_created_metrics()  # type: ignore[no-untyped-call]


class RequestKey(NamedTuple):
    """By what requests are told apart; every value is one of a few.

    Attributes:
        kind: of address: ``image``, ``info``, and so on.
        profile: a configured one, or empty.
        method: of HTTP; ``other`` for uncommon ones.
        status: of the answer; 499 if the client left before there was one.
        tier: where the image came from; empty if it is none.
    """

    kind: str
    profile: str
    method: str
    status: int
    tier: str


_OfRequest = tuple[Counter, Histogram, Counter, Counter | None]


class Metrics:
    """Counts requests and image work, of one application, or of one process if it counts with others.

    Args:
        registry: where the metrics are collected from.
    """

    def __init__(self, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry = registry or CollectorRegistry()
        self.requests = Counter(
            "iiif_requests",
            "Requests that were answered, or that the client gave up before (status 499).",
            ("kind", "profile", "method", "status"),
            registry=registry,
        )
        self.request_seconds = Histogram(
            "iiif_request_duration_seconds",
            "From a request's head to the end of its answer.",
            ("kind",),
            buckets=_REQUEST_BUCKETS,
            registry=registry,
        )
        self.response_bytes = Counter(
            "iiif_response_bytes", "Bytes of the bodies sent.", ("kind", "profile"), registry=registry
        )
        self.aborted = Counter(
            "iiif_responses_aborted",
            "Answers that ended before their end: the client left, or an error came amid them.",
            ("kind",),
            registry=registry,
        )
        self.images = Counter(
            "iiif_images",
            "Images by where they came from: `not_modified` (the client has it), `memory`, "
            "`source` (a tile that is stored there), `pyramid`, `disk`, `worker`.",
            ("tier",),
            registry=registry,
        )
        self.queue_seconds = Histogram(
            "iiif_queue_wait_seconds",
            "From the admission of image work until a worker had it.",
            buckets=_WORK_BUCKETS,
            registry=registry,
        )
        self.render_seconds = Histogram(
            "iiif_render_duration_seconds",
            "Time in a worker by step: `open`, `copy`, `transform`, `decode`, `convert`, `scale`, `encode`.",
            ("step",),
            buckets=_WORK_BUCKETS,
            registry=registry,
        )
        self.build = Gauge(
            "iiif_build_info",
            "1, with the version of the server.",
            ("version",),
            registry=registry,
            multiprocess_mode="livemax",
        )
        self.build.labels(__version__).set(1)
        self.sampled = {metric.name: metric.declare(registry) for metric in SAMPLED}
        # labels() costs more than counting: what was looked up once is kept. Keys are few by their nature.
        self._of_request: dict[RequestKey, _OfRequest] = {}

    def request_done(self, key: RequestKey, seconds: float, sent: int) -> None:
        """Count a request.

        Args:
            key: what it was.
            seconds: until the end of its answer.
            sent: bytes of the body.
        """
        counters = self._of_request.get(key)
        if counters is None:
            counters = self._of_request[key] = self._look_up(key)
        requests, durations, bodies, images = counters
        requests.inc()
        durations.observe(seconds)
        if sent:
            bodies.inc(sent)
        if images is not None:
            images.inc()

    def work_done(self, waited: float, steps: Mapping[str, float]) -> None:
        """Count a piece of image work.

        Args:
            waited: seconds until a worker had it.
            steps: seconds by step, of :data:`iiif_server.imaging.stopwatch.STEPS`.
        """
        self.queue_seconds.observe(waited)
        for step, seconds in steps.items():
            self.render_seconds.labels(step).observe(seconds)

    def _look_up(self, key: RequestKey) -> _OfRequest:
        return (
            self.requests.labels(key.kind, key.profile, key.method, key.status),
            self.request_seconds.labels(key.kind),
            self.response_bytes.labels(key.kind, key.profile),
            self.images.labels(key.tier) if key.tier else None,
        )


class Sampler:
    """Brings into the metrics what other parts of the server count for themselves.

    Args:
        metrics: where to.
    """

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._last: dict[str, float] = {}

    def sample(self, statistics: Statistics) -> None:
        """Take over the values of this moment. Counters grow by what came since the last time."""
        for metric in SAMPLED:
            for labels, value in metric.values(statistics):
                target = self._metrics.sampled[metric.name]
                target = target.labels(*labels) if labels else target
                if isinstance(target, Gauge):
                    target.set(value)
                else:
                    key = f"{metric.name} {labels}"
                    target.inc(max(0.0, value - self._last.get(key, 0.0)))
                    self._last[key] = value


def create_metrics() -> Metrics:
    """Metrics for an application: its own, or those of the process if it counts together with others.

    In that case there must be one object for each file, whatever number of applications come and go.

    Raises:
        ConfigurationError: there is no directory to count in.
    """
    directory = multiprocess_directory()
    if directory is None:
        return Metrics()
    if not directory.is_dir():
        raise ConfigurationError([f"{VARIABLE}: there is no directory {str(directory)!r}"])
    return _of_this_process()


def exposition(metrics: Metrics) -> bytes:
    """The metrics in Prometheus' text format, of all processes that count together. May read files."""
    directory = multiprocess_directory()
    if directory is None:
        return generate_latest(metrics.registry)
    with all_processes(directory) as registry:
        return generate_latest(registry)


@functools.cache
def _of_this_process() -> Metrics:
    return Metrics()
