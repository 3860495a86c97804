"""Counting: what stands in the statistics of others is brought in once, and labels are few."""

from prometheus_client.parser import text_string_to_metric_families

from iiif_server.imaging.stopwatch import STEPS
from iiif_server.telemetry.metrics import Metrics, RequestKey, Sampler, create_metrics, exposition
from iiif_server.telemetry.sampled import SAMPLED

KEY = RequestKey("image", "plants", "GET", 200, "memory")


def values(metrics):
    return {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(exposition(metrics).decode())
        for sample in family.samples
    }


def test_requests():
    metrics = Metrics()
    for seconds, sent in ((0.002, 100), (0.2, 0), (90.0, 50)):
        metrics.request_done(KEY, seconds, sent)
    metrics.request_done(KEY._replace(status=304, tier="not_modified"), 0.001, 0)
    found = values(metrics)

    assert found["iiif_requests_total", "200", "GET", "image", "plants"] == 3
    assert found["iiif_requests_total", "304", "GET", "image", "plants"] == 1
    assert found["iiif_response_bytes_total", "image", "plants"] == 150
    assert found["iiif_request_duration_seconds_count", "image"] == 4
    assert found["iiif_request_duration_seconds_bucket", "0.0025", "image"] == 2
    assert found["iiif_request_duration_seconds_bucket", "30.0", "image"] == 3
    assert found["iiif_images_total", "memory"] == 3
    assert found["iiif_images_total", "not_modified"] == 1


def test_work():
    metrics = Metrics()
    metrics.work_done(0.5, dict.fromkeys(STEPS, 2.0))
    metrics.work_done(0.0, {})
    found = values(metrics)

    assert found["iiif_queue_wait_seconds_sum",] == 0.5
    assert found["iiif_queue_wait_seconds_count",] == 2
    assert {step: found["iiif_render_duration_seconds_sum", step] for step in STEPS} == dict.fromkeys(
        STEPS, 2.0
    )


def test_gauges_are_set_and_counters_grow_by_what_came():
    metrics = Metrics()
    sampler = Sampler(metrics)
    for hits, busy in ((3, 2), (3, 0), (10, 1)):
        sampler.sample({"pool": {"busy": busy}, "memory": {"hits": hits}, "disk": {"hits": 1}})
        found = values(metrics)

        assert found["iiif_cache_hits_total", "memory"] == hits
        assert found["iiif_cache_hits_total", "disk"] == 1
        assert found["iiif_workers_busy",] == busy


def test_another_application_of_the_process_adds_to_the_same_counters():
    """As after a reload, where the new one begins at 0."""
    metrics = Metrics()
    Sampler(metrics).sample({"memory": {"hits": 5}})
    Sampler(metrics).sample({"memory": {"hits": 2}})

    assert values(metrics)["iiif_cache_hits_total", "memory"] == 7


def test_what_a_part_does_not_count_is_not_told():
    """A cache that a plugin brings need not count everything."""
    metrics = Metrics()
    Sampler(metrics).sample({"disk": {}, "strange": {"hits": 1}})
    found = values(metrics)

    assert not any(name[0] == "iiif_cache_hits_total" for name in found)


def test_names_follow_the_conventions():
    """Those of https://prometheus.io/docs/practices/naming/."""
    for metric in SAMPLED:
        assert metric.name.startswith("iiif_")
        assert not metric.name.endswith("_total")
        assert metric.help.endswith(".")


def test_metrics_that_count_alone_are_not_shared():
    assert create_metrics() is not create_metrics()
