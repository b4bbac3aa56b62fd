"""Write dashboard.json, the Grafana dashboard: python deploy/watch/dashboard.py"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_OF = 'job="seedmint",namespace=~"$namespace",service=~"$service"'
_IMAGE = 'route="/v1/models/{name}@{digest}/images/{file}"'
_NO_PROBES = 'route!~"/livez|/readyz|/metrics"'
_RELEASE = "seedmint {{namespace}} {{service}}"
_SOURCE = {"type": "prometheus", "uid": "${source}"}


def _rate(metric: str, by: str, *selectors: str) -> str:
    return f"sum by ({by}) (rate({metric}{{{','.join((_OF, *selectors))}}}[$__rate_interval]))"


_IMAGE_DURATION = _rate("seedmint_http_request_duration_seconds_bucket", "le", _IMAGE)


@dataclass(frozen=True)
class Panel:
    """One panel.

    Attributes:
        title: what it shows.
        about: how to read it; Grafana shows it beside the title.
        unit: of Grafana's list.
        queries: legend -> query.
        colours: of a single number: (from which value on, colour). Without any, the panel is a graph over time.
        nothing: what a single number says where there is nothing to count.
    """

    title: str
    about: str
    unit: str
    queries: dict[str, str]
    colours: tuple[tuple[float | None, str], ...] = ()
    nothing: str = ""


_ROWS: dict[str, list[Panel]] = {
    "Objectives": [
        Panel(
            "Requests not answered 5xx, last hour",
            "Probes apart. The objective is 99.9 %.",
            "percentunit",
            {_RELEASE: f"1 - release:seedmint_http_errors:ratio_rate1h{{{_OF}}}"},
            ((None, "red"), (0.999, "green")),
            "no requests",
        ),
        Panel(
            "Single images within 0.25 s, last hour",
            "The objective is 99 %.",
            "percentunit",
            {_RELEASE: f"1 - release:seedmint_slow_images:ratio_rate1h{{{_OF}}}"},
            ((None, "red"), (0.99, "green")),
            "no requests",
        ),
        Panel(
            "Replicas that answer",
            "Of those that Prometheus knows.",
            "short",
            {_RELEASE: f"sum by (namespace, service) (up{{{_OF}}})"},
            ((None, "red"), (1, "green")),
            "none",
        ),
        Panel(
            "Alerts that fire",
            "What to do about each: docs/runbook.md.",
            "short",
            {"{{alertname}}": f'sum by (alertname) (ALERTS{{{_OF},alertstate="firing"}})'},
            ((None, "green"), (1, "red")),
            "none",
        ),
    ],
    "Requests": [
        Panel(
            "Requests by status",
            "Probes apart. 304: the client had the image; 429: turned away; 499: the client left.",
            "reqps",
            {"{{status}}": _rate("seedmint_http_requests_total", "status", _NO_PROBES)},
        ),
        Panel(
            "Time of a single image",
            "From a request's first byte to its answer's last.",
            "s",
            {f"p{percent}": f"histogram_quantile(0.{percent}, {_IMAGE_DURATION})" for percent in (50, 90, 99)},
        ),
        Panel(
            "Turned away, by reason",
            "docs/service.md explains the reasons.",
            "reqps",
            {"{{reason}}": _rate("seedmint_http_requests_rejected_total", "reason")},
        ),
        Panel(
            "Single images that clients had already",
            "Answered 304, and not made again.",
            "percentunit",
            {
                _RELEASE: _rate("seedmint_http_requests_total", "namespace, service", _IMAGE, 'status="304"')
                + f" / {_rate('seedmint_http_requests_total', 'namespace, service', _IMAGE)}"
            },
        ),
        Panel(
            "Errors' share of all requests, for each window of the alerts",
            "They page above 1.44 % in an hour or 0.6 % in six, and if it still goes on.",
            "percentunit",
            {
                f"{_RELEASE}, {window}": f"release:seedmint_http_errors:ratio_rate{window}{{{_OF}}}"
                for window in ("5m", "1h", "6h", "3d")
            },
        ),
    ],
    "Generators": [
        Panel(
            "Made: images or samples",
            "Sent to clients, in bulk too. Data sets asked for over HTTP are beside it.",
            "cps",
            {"{{model}}": f"sum by (model) (release_model:seedmint_outputs:rate5m{{{_OF}}})"},
        ),
        Panel(
            "Wait in the queue, p99",
            "Of each run, the image that had waited longest. More than a second: too few processors.",
            "s",
            {"{{model}}": f"max by (model) (release_model:seedmint_queue_duration_seconds:p99_rate5m{{{_OF}}})"},
        ),
        Panel(
            "Waiting",
            "Single images in the queues, and bulk requests under way.",
            "short",
            {
                "images of {{model}}": f"sum by (model) (seedmint_queue_size{{{_OF}}})",
                "bulk requests of {{model}}": f"sum by (model) (seedmint_bulk_requests_in_flight{{{_OF}}})",
            },
        ),
        Panel(
            "Images in a run, mean",
            "Near SEEDMINT_MAX_BATCH: there is no more to be had from larger batches.",
            "short",
            {"{{model}}": f"{_rate('seedmint_batch_size_sum', 'model')} / {_rate('seedmint_batch_size_count', 'model')}"},
        ),
        Panel(
            "Time at work",
            "Seconds in each second that generators and encoders take; 100 % is one of each, busy all the time.",
            "percentunit",
            {
                f"{word} {{{{model}}}}": _rate(f"seedmint_{word}_duration_seconds_sum", "model")
                for word in ("inference", "encoding")
            },
        ),
        Panel(
            "Never made",
            "The client left, or the deadline came, while they waited.",
            "cps",
            {"{{model}}": _rate("seedmint_cancelled_images_total", "model")},
        ),
    ],
    "Replicas": [
        Panel(
            "Memory",
            "What the container uses is measured against its limit. The workers' part is that of generators and requests.",
            "bytes",
            {
                "container {{instance}}": f"seedmint_memory_working_set_bytes{{{_OF}}}",
                "workers {{instance}}": f"seedmint_resident_memory_bytes{{{_OF}}}",
                "limit": f"min(seedmint_memory_limit_bytes{{{_OF}}})",
            },
        ),
        Panel(
            "Generators, and replicas that serve them",
            "Two digests by one name: replicas differ. Refused: the file breaks the contract; the log says how.",
            "short",
            {
                "{{model}}@{{digest}} on {{provider}}, {{determinism}}": "count by (model, digest, provider, determinism) "
                f"(seedmint_model_info{{{_OF}}})",
                "{{model}} refused": f"count by (model) (seedmint_model_load_failed{{{_OF}}})",
            },
        ),
        Panel("Workers", "Processes that serve, in each replica.", "short", {"{{instance}}": f"seedmint_workers{{{_OF}}}"}),
    ],
    "Data sets asked for over HTTP": [
        Panel("Jobs", "By state.", "short", {"{{state}}": f"sum by (state) (seedmint_jobs{{{_OF}}})"}),
        Panel(
            "Made by jobs",
            "Images or samples, in shards that are done.",
            "cps",
            {"{{model}}": _rate("seedmint_job_images_total", "model")},
        ),
    ],
}
_COLUMNS, _WIDTH, _HEIGHT = 3, 24, 8


def dashboard() -> dict[str, Any]:
    """The dashboard as Grafana reads it."""
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
        # Also where targets have no such label.
        "allValue": ".*",
        "multi": True,
        "current": {"text": "All", "value": "$__all"},
    }


def _panels() -> list[dict[str, Any]]:
    panels: list[dict[str, Any]] = []
    top = 0
    for title, row in _ROWS.items():
        place = {"x": 0, "y": top, "w": _WIDTH, "h": 1}
        panels.append(
            {"id": len(panels) + 1, "type": "row", "title": title, "gridPos": place, "collapsed": False, "panels": []}
        )
        top += 1
        columns, height = (len(row), _HEIGHT // 2) if row[0].colours else (_COLUMNS, _HEIGHT)
        width = _WIDTH // columns
        for number, panel in enumerate(row):
            place = {
                "x": number % columns * width,
                "y": top + number // columns * height,
                "w": width,
                "h": height,
            }
            panels.append({"id": len(panels) + 1, "gridPos": place} | _panel(panel))
        top += -(-len(row) // columns) * height
    return panels


def _panel(panel: Panel) -> dict[str, Any]:
    return {
        "title": panel.title,
        "description": panel.about,
        "datasource": _SOURCE,
        "targets": [
            {"refId": chr(ord("A") + number), "datasource": _SOURCE, "expr": query, "legendFormat": legend}
            for number, (legend, query) in enumerate(panel.queries.items())
        ],
    } | (_number(panel) if panel.colours else _over_time(panel.unit))


def _over_time(unit: str) -> dict[str, Any]:
    return {
        "type": "timeseries",
        "fieldConfig": {"defaults": {"unit": unit, "min": 0, "custom": {"fillOpacity": 10}}, "overrides": []},
        "options": {
            "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []},
            "tooltip": {"mode": "multi", "sort": "desc"},
        },
    }


def _number(panel: Panel) -> dict[str, Any]:
    steps = [{"value": value, "color": colour} for value, colour in panel.colours]
    defaults: dict[str, Any] = {
        "unit": panel.unit,
        "noValue": panel.nothing,
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
