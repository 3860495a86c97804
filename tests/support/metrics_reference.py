"""The reference of metrics, made from their declarations."""

from collections.abc import Iterator

from prometheus_client.metrics import MetricWrapperBase

from iiif_server.telemetry.metrics import Metrics
from iiif_server.web.kinds import KINDS

HEAD = """\
# Metrics

`/metrics` tells these in Prometheus' text format. [How to collect them](../how-to/monitoring.md).

Counters begin at 0 with the server. With several processes of one server, whichever answers tells the sums of
all; gauges and the counts of caches and workers are then up to a second old.

| metric | type | labels | what |
|---|---|---|---|
"""

FOOT = f"""
## Labels

| label | values |
|---|---|
| `kind` | of address: {", ".join(f"`{kind}`" for kind in KINDS)} |
| `profile` | a configured profile, or empty: unknown names of strangers make no series |
| `method` | `GET`, `HEAD`, `OPTIONS`, `POST` or `other` |
| `status` | of the answer; `499` if the client left before there was one |
| `tier` | where an image came from |
| `step` | of the work in a worker |
| `cache` | `memory` or `disk` |
"""


def declared() -> dict[str, MetricWrapperBase]:
    """Every metric by the name under which it is told; histograms without their suffixes."""
    metrics = Metrics()
    found = [value for value in vars(metrics).values() if isinstance(value, MetricWrapperBase)]
    return {_told_name(metric): metric for metric in (*found, *metrics.sampled.values())}


def metrics_reference() -> str:
    """The page."""
    return HEAD + "\n".join(_rows()) + "\n" + FOOT


def _rows() -> Iterator[str]:
    for name, metric in sorted(declared().items()):
        labels = ", ".join(f"`{label}`" for label in metric._labelnames)
        yield f"| `{name}` | {metric._type} | {labels} | {metric._documentation} |"


def _told_name(metric: MetricWrapperBase) -> str:
    return str(metric._name) + ("_total" if metric._type == "counter" else "")
