"""Write dashboard.json, the Grafana dashboard: python deploy/watch/dashboard.py"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_SELECTOR = 'job="seedmint",namespace=~"$namespace",service=~"$service"'
_IMAGE = 'route="/v1/models/{name}@{digest}/images/{file}"'
_NO_PROBES = 'route!~"/livez|/readyz|/metrics"'
_RELEASE_LEGEND = "seedmint {{namespace}} {{service}}"
_SOURCE = {"type": "prometheus", "uid": "${source}"}


def _rate(metric: str, by: str, *selectors: str) -> str:
    return f"sum by ({by}) (rate({metric}{{{','.join((_SELECTOR, *selectors))}}}[$__rate_interval]))"


_IMAGE_DURATION = _rate("seedmint_http_request_duration_seconds_bucket", "le", _IMAGE)


@dataclass(frozen=True)
class Panel:
    """One panel of the dashboard.

    Attributes:
        title: The title.
        description: The tooltip of the title.
        unit: A Grafana unit.
        queries: PromQL queries by legend.
        thresholds: (lowest value, color) pairs of a stat panel. If empty, the panel is a time series.
        no_value: The text of a stat panel without data.
    """

    title: str
    description: str
    unit: str
    queries: dict[str, str]
    thresholds: tuple[tuple[float | None, str], ...] = ()
    no_value: str = ""


_ROWS: dict[str, list[Panel]] = {
    "Objectives": [
        Panel(
            "Success rate, last hour",
            "Requests with a status other than 5xx, without probes. The objective is 99.9 %.",
            "percentunit",
            {_RELEASE_LEGEND: f"1 - release:seedmint_http_errors:ratio_rate1h{{{_SELECTOR}}}"},
            ((None, "red"), (0.999, "green")),
            "no requests",
        ),
        Panel(
            "Images within 0.25 s, last hour",
            "Single images that take less than 0.25 s. The objective is 99 %.",
            "percentunit",
            {_RELEASE_LEGEND: f"1 - release:seedmint_slow_images:ratio_rate1h{{{_SELECTOR}}}"},
            ((None, "red"), (0.99, "green")),
            "no requests",
        ),
        Panel(
            "Replicas up",
            "Replicas that answer the scrapes of Prometheus.",
            "short",
            {_RELEASE_LEGEND: f"sum by (namespace, service) (up{{{_SELECTOR}}})"},
            ((None, "red"), (1, "green")),
            "none",
        ),
        Panel(
            "Firing alerts",
            "docs/runbook.md says what to do about each alert.",
            "short",
            {"{{alertname}}": f'sum by (alertname) (ALERTS{{{_SELECTOR},alertstate="firing"}})'},
            ((None, "green"), (1, "red")),
            "none",
        ),
    ],
    "Requests": [
        Panel(
            "Requests by status",
            "Without probes. 304: the client has the image already. 429: rejected. 499: the client disconnected.",
            "reqps",
            {"{{status}}": _rate("seedmint_http_requests_total", "status", _NO_PROBES)},
        ),
        Panel(
            "Duration of single image requests",
            "Time from the first byte of the request to the last byte of the response.",
            "s",
            {f"p{percent}": f"histogram_quantile(0.{percent}, {_IMAGE_DURATION})" for percent in (50, 90, 99)},
        ),
        Panel(
            "Rejected requests by reason",
            "docs/service.md lists the reasons.",
            "reqps",
            {"{{reason}}": _rate("seedmint_http_requests_rejected_total", "reason")},
        ),
        Panel(
            "Conditional requests answered 304",
            "Share of single image requests for which the client has the image already.",
            "percentunit",
            {
                _RELEASE_LEGEND: _rate("seedmint_http_requests_total", "namespace, service", _IMAGE, 'status="304"')
                + f" / {_rate('seedmint_http_requests_total', 'namespace, service', _IMAGE)}"
            },
        ),
        Panel(
            "Error ratio by alert window",
            "A page fires above 1.44 % over 1 h and 5 min, or above 0.6 % over 6 h and 30 min.",
            "percentunit",
            {
                f"{_RELEASE_LEGEND}, {window}": f"release:seedmint_http_errors:ratio_rate{window}{{{_SELECTOR}}}"
                for window in ("5m", "1h", "6h", "3d")
            },
        ),
    ],
    "Generators": [
        Panel(
            "Images and samples sent",
            "Single and bulk responses, without jobs.",
            "cps",
            {"{{model}}": f"sum by (model) (release_model:seedmint_outputs:rate5m{{{_SELECTOR}}})"},
        ),
        Panel(
            "Queue time, p99",
            "Longest queue time of each batch. More than one second means that the CPUs are saturated.",
            "s",
            {"{{model}}": f"max by (model) (release_model:seedmint_queue_duration_seconds:p99_rate5m{{{_SELECTOR}}})"},
        ),
        Panel(
            "Queue size",
            "Single images in the queue, and bulk requests in flight.",
            "short",
            {
                "images, {{model}}": f"sum by (model) (seedmint_queue_size{{{_SELECTOR}}})",
                "bulk requests, {{model}}": f"sum by (model) (seedmint_bulk_requests_in_flight{{{_SELECTOR}}})",
            },
        ),
        Panel(
            "Batch size, mean",
            "A value near SEEDMINT_MAX_BATCH means that batches are full.",
            "short",
            {"{{model}}": f"{_rate('seedmint_batch_size_sum', 'model')} / {_rate('seedmint_batch_size_count', 'model')}"},
        ),
        Panel(
            "Utilization",
            "Seconds of inference and of encoding per second. 100 % is one thread that is always busy.",
            "percentunit",
            {
                f"{stage} {{{{model}}}}": _rate(f"seedmint_{stage}_duration_seconds_sum", "model")
                for stage in ("inference", "encoding")
            },
        ),
        Panel(
            "Cancelled images",
            "Images removed from the queue because the client disconnected or the deadline passed.",
            "cps",
            {"{{model}}": _rate("seedmint_cancelled_images_total", "model")},
        ),
    ],
    "Replicas": [
        Panel(
            "Memory",
            "The memory limit applies to the whole container. The workers hold the generators and the requests.",
            "bytes",
            {
                "container {{instance}}": f"seedmint_memory_working_set_bytes{{{_SELECTOR}}}",
                "workers {{instance}}": f"seedmint_resident_memory_bytes{{{_SELECTOR}}}",
                "limit": f"min(seedmint_memory_limit_bytes{{{_SELECTOR}}})",
            },
        ),
        Panel(
            "Replicas of each generator",
            "Two digests under one name: the replicas serve different files. Load failed: the log has the reason.",
            "short",
            {
                "{{model}}@{{digest}} on {{provider}}, {{determinism}}": "count by (model, digest, provider, determinism) "
                f"(seedmint_model_info{{{_SELECTOR}}})",
                "{{model}} load failed": f"count by (model) (seedmint_model_load_failed{{{_SELECTOR}}})",
            },
        ),
        Panel("Workers", "Worker processes of each replica.", "short", {"{{instance}}": f"seedmint_workers{{{_SELECTOR}}}"}),
    ],
    "Jobs": [
        Panel(
            "Jobs by state", "Jobs of POST /v1/jobs.", "short", {"{{state}}": f"sum by (state) (seedmint_jobs{{{_SELECTOR}}})"}
        ),
        Panel(
            "Images and samples of jobs",
            "Images and samples in finished shards.",
            "cps",
            {"{{model}}": _rate("seedmint_job_images_total", "model")},
        ),
    ],
}
_COLUMNS, _WIDTH, _HEIGHT = 3, 24, 8


def dashboard() -> dict[str, Any]:
    """Return the dashboard in Grafana's JSON model."""
    return {
        "uid": "seedmint",
        "title": "Seedmint",
        "description": "Requests, generators and replicas. docs/runbook.md says what to do about each alert.",
        "tags": ["seedmint"],
        "schemaVersion": 41,
        "editable": True,
        "graphTooltip": 1,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {
            "list": [
                {"name": "source", "label": "Prometheus", "type": "datasource", "query": "prometheus"},
                _variable("namespace", 'label_values(seedmint_workers{job="seedmint"}, namespace)'),
                _variable("service", 'label_values(seedmint_workers{job="seedmint",namespace=~"$namespace"}, service)'),
            ]
        },
        "panels": _panels(),
    }


def _variable(name: str, query: str) -> dict[str, Any]:
    return {
        "name": name,
        "label": name.capitalize(),
        "type": "query",
        "datasource": _SOURCE,
        "query": query,
        "refresh": 2,
        "includeAll": True,
        # Matches targets without the label, too.
        "allValue": ".*",
        "multi": True,
        "current": {"text": "All", "value": "$__all"},
    }


def _panels() -> list[dict[str, Any]]:
    panels: list[dict[str, Any]] = []
    top = 0
    for title, row in _ROWS.items():
        position = {"x": 0, "y": top, "w": _WIDTH, "h": 1}
        panels.append(
            {"id": len(panels) + 1, "type": "row", "title": title, "gridPos": position, "collapsed": False, "panels": []}
        )
        top += 1
        columns, height = (len(row), _HEIGHT // 2) if row[0].thresholds else (_COLUMNS, _HEIGHT)
        width = _WIDTH // columns
        for number, panel in enumerate(row):
            position = {
                "x": number % columns * width,
                "y": top + number // columns * height,
                "w": width,
                "h": height,
            }
            panels.append({"id": len(panels) + 1, "gridPos": position} | _panel(panel))
        top += -(-len(row) // columns) * height
    return panels


def _panel(panel: Panel) -> dict[str, Any]:
    return {
        "title": panel.title,
        "description": panel.description,
        "datasource": _SOURCE,
        "targets": [
            {"refId": chr(ord("A") + number), "datasource": _SOURCE, "expr": query, "legendFormat": legend}
            for number, (legend, query) in enumerate(panel.queries.items())
        ],
    } | (_stat(panel) if panel.thresholds else _time_series(panel.unit))


def _time_series(unit: str) -> dict[str, Any]:
    return {
        "type": "timeseries",
        "fieldConfig": {"defaults": {"unit": unit, "min": 0, "custom": {"fillOpacity": 10}}, "overrides": []},
        "options": {
            "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []},
            "tooltip": {"mode": "multi", "sort": "desc"},
        },
    }


def _stat(panel: Panel) -> dict[str, Any]:
    steps = [{"value": value, "color": color} for value, color in panel.thresholds]
    defaults: dict[str, Any] = {
        "unit": panel.unit,
        "noValue": panel.no_value,
        "thresholds": {"mode": "absolute", "steps": steps},
    }
    if panel.unit == "percentunit":
        defaults |= {"decimals": 2, "max": 1}
    return {
        "type": "stat",
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": {
            "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
            "orientation": "auto",
            "colorMode": "value",
            "graphMode": "area",
            "justifyMode": "auto",
            "textMode": "auto",
            "percentChangeColorMode": "standard",
            "showPercentChange": False,
            "wideLayout": True,
        },
    }


if __name__ == "__main__":
    Path(__file__).with_suffix(".json").write_text(json.dumps(dashboard(), indent=1) + "\n", encoding="utf-8")
