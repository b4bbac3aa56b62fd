"""Write dashboard.json, the Grafana dashboard: python deploy/watch/dashboard.py"""

import json
from pathlib import Path
from typing import Any

_IMAGE = 'route="/v1/models/{name}@{digest}/images/{file}"'
_OF = 'job=~"$job"'
_NO_PROBES = 'route!~"/livez|/readyz|/metrics"'

# title, unit (of Grafana), {legend: query}
_PANELS: list[tuple[str, str, dict[str, str]]] = [
    ("Availability, last hour", "percentunit", {"": f"1 - job:seedmint_errors:ratio_rate1h{{{_OF}}}"}),
    ("Single images within 0.25 s, last hour", "percentunit", {"": f"1 - job:seedmint_slow_images:ratio_rate1h{{{_OF}}}"}),
    ("Replicas that answer", "short", {"": f"sum(up{{{_OF}}})"}),
    ("Made, images or samples a second", "short", {"{{model}}": f"job_model:seedmint_made:rate5m{{{_OF}}}"}),
    (
        "Requests by status",
        "reqps",
        {"{{status}}": f"sum by (status) (rate(seedmint_requests_total{{{_OF},{_NO_PROBES}}}[$__rate_interval]))"},
    ),
    (
        "Time of a single image",
        "s",
        {
            f"p{percent}": f"histogram_quantile(0.{percent}, "
            f"sum by (le) (rate(seedmint_request_seconds_bucket{{{_OF},{_IMAGE}}}[$__rate_interval])))"
            for percent in (50, 90, 99)
        },
    ),
    (
        "Turned away, by reason",
        "reqps",
        {"{{reason}}": f"sum by (reason) (rate(seedmint_rejected_total{{{_OF}}}[$__rate_interval]))"},
    ),
    (
        "304: images that need not be made again",
        "percentunit",
        {
            "": f'sum(rate(seedmint_requests_total{{{_OF},{_IMAGE},status="304"}}[$__rate_interval]))'
            f" / sum(rate(seedmint_requests_total{{{_OF},{_IMAGE}}}[$__rate_interval]))"
        },
    ),
    ("Wait in the queue, p99", "s", {"{{model}}": f"job_model:seedmint_queue_seconds:p99_rate5m{{{_OF}}}"}),
    (
        "Waiting",
        "short",
        {
            "images of {{model}}": f"sum by (model) (seedmint_queue_images{{{_OF}}})",
            "bulk requests of {{model}}": f"sum by (model) (seedmint_bulk_requests{{{_OF}}})",
        },
    ),
    (
        "Images in a run, mean",
        "short",
        {
            "{{model}}": f"sum by (model) (rate(seedmint_batch_images_sum{{{_OF}}}[$__rate_interval]))"
            f" / sum by (model) (rate(seedmint_batch_images_count{{{_OF}}}[$__rate_interval]))"
        },
    ),
    (
        "Where the time goes, seconds a second",
        "short",
        {
            f"{word} {{{{model}}}}": f"sum by (model) (rate(seedmint_{word}_seconds_sum{{{_OF}}}[$__rate_interval]))"
            for word in ("inference", "encoding")
        },
    ),
    (
        "Never made: clients left",
        "short",
        {"{{model}}": f"sum by (model) (rate(seedmint_cancelled_images_total{{{_OF}}}[$__rate_interval]))"},
    ),
    (
        "Memory",
        "bytes",
        {"{{instance}}": f"seedmint_resident_memory_bytes{{{_OF}}}", "limit": f"min(seedmint_memory_limit_bytes{{{_OF}}})"},
    ),
    (
        "Generators, and replicas that serve them",
        "short",
        {
            "{{model}}@{{digest}} on {{provider}}, {{determinism}}": "count by (model, digest, provider, determinism) "
            f"(seedmint_model_info{{{_OF}}})",
            "{{model}} refused": f"count by (model) (seedmint_model_refused{{{_OF}}})",
        },
    ),
    ("Workers", "short", {"{{instance}}": f"seedmint_workers{{{_OF}}}"}),
]
_COLUMNS, _WIDTH, _HEIGHT = 3, 8, 8


def dashboard() -> dict[str, Any]:
    """The dashboard as Grafana reads it."""
    return {
        "uid": "seedmint",
        "title": "Seedmint",
        "tags": ["seedmint"],
        "schemaVersion": 39,
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {
            "list": [
                {"name": "source", "label": "Prometheus", "type": "datasource", "query": "prometheus"},
                {
                    "name": "job",
                    "type": "query",
                    "datasource": _SOURCE,
                    "query": "label_values(seedmint_workers, job)",
                    "refresh": 2,
                    "includeAll": True,
                    "multi": True,
                    "current": {"text": "All", "value": "$__all"},
                },
            ]
        },
        "panels": [_panel(place, *panel) for place, panel in enumerate(_PANELS)],
    }


_SOURCE = {"type": "prometheus", "uid": "${source}"}


def _panel(place: int, title: str, unit: str, queries: dict[str, str]) -> dict[str, Any]:
    return {
        "id": place + 1,
        "title": title,
        "type": "timeseries",
        "datasource": _SOURCE,
        "gridPos": {"x": place % _COLUMNS * _WIDTH, "y": place // _COLUMNS * _HEIGHT, "w": _WIDTH, "h": _HEIGHT},
        "fieldConfig": {"defaults": {"unit": unit, "min": 0}, "overrides": []},
        "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}},
        "targets": [
            {"refId": chr(ord("A") + number), "datasource": _SOURCE, "expr": query, "legendFormat": legend or title}
            for number, (legend, query) in enumerate(queries.items())
        ],
    }


if __name__ == "__main__":
    Path(__file__).with_suffix(".json").write_text(json.dumps(dashboard(), indent=1) + "\n", encoding="utf-8")
