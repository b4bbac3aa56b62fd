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


@dataclass(frozen=True)
class Panel:
    """One panel.

    Attributes:
        title: what it shows.
        about: how to read it; Grafana shows it beside the title.
        unit: of Grafana's list.
        queries: legend -> query.
        good: of a number that must not fall: from here on it is green. None for a graph over time.
    """

    title: str
    about: str
    unit: str
    queries: dict[str, str]
    good: float | None = None


_ROWS: dict[str, list[Panel]] = {
    "Objectives": [
        Panel(
            "Requests not answered 5xx, last hour",
            "Probes apart. The objective is 99.9 %.",
            "percentunit",
            {_RELEASE: f"1 - release:seedmint_errors:ratio_rate1h{{{_OF}}}"},
            good=0.999,
        ),
        Panel(
            "Single images within 0.25 s, last hour",
            "The objective is 99 %.",
            "percentunit",
            {_RELEASE: f"1 - release:seedmint_slow_images:ratio_rate1h{{{_OF}}}"},
            good=0.99,
        ),
        Panel(
            "Replicas that answer",
            "Of those that Prometheus knows.",
            "short",
            {_RELEASE: f"sum by (namespace, service) (up{{{_OF}}})"},
            good=1,
        ),
    ],
    "Requests": [
        Panel(
            "Requests by status",
            "Probes apart. 304: the client had the image; 429: turned away; 499: the client left.",
            "reqps",
            {"{{status}}": _rate("seedmint_requests_total", "status", _NO_PROBES)},
        ),
        Panel(
            "Time of a single image",
            "From a request's first byte to its answer's last.",
            "s",
            {
                f"p{percent}": f"histogram_quantile(0.{percent}, {_rate('seedmint_request_seconds_bucket', 'le', _IMAGE)})"
                for percent in (50, 90, 99)
            },
        ),
        Panel(
            "Turned away, by reason",
            "docs/service.md explains the reasons.",
            "reqps",
            {"{{reason}}": _rate("seedmint_rejected_total", "reason")},
        ),
        Panel(
            "Single images that clients had already",
            "Answered 304, and not made again.",
            "percentunit",
            {
                _RELEASE: _rate("seedmint_requests_total", "namespace, service", _IMAGE, 'status="304"')
                + f" / {_rate('seedmint_requests_total', 'namespace, service', _IMAGE)}"
            },
        ),
        Panel(
            "Errors' share of all requests, for each window of the alerts",
            "They page above 1.44 % in an hour or 0.6 % in six, and if it still goes on.",
            "percentunit",
            {
                f"{_RELEASE}, {window}": f"release:seedmint_errors:ratio_rate{window}{{{_OF}}}"
                for window in ("5m", "1h", "6h", "3d")
            },
        ),
    ],
    "Generators": [
        Panel(
            "Made: images or samples",
            "Sent to clients, in bulk too. Data sets asked for over HTTP are beside it.",
            "cps",
            {"{{model}}": f"sum by (model) (release_model:seedmint_made:rate5m{{{_OF}}})"},
        ),
        Panel(
            "Wait in the queue, p99",
            "Of each run, the image that had waited longest. More than a second: too few processors.",
            "s",
            {"{{model}}": f"max by (model) (release_model:seedmint_queue_seconds:p99_rate5m{{{_OF}}})"},
        ),
        Panel(
            "Waiting",
            "Single images in the queues, and bulk requests under way.",
            "short",
            {
                "images of {{model}}": f"sum by (model) (seedmint_queue_images{{{_OF}}})",
                "bulk requests of {{model}}": f"sum by (model) (seedmint_bulk_requests{{{_OF}}})",
            },
        ),
        Panel(
            "Images in a run, mean",
            "Near SEEDMINT_MAX_BATCH: there is no more to be had from larger batches.",
            "short",
            {"{{model}}": f"{_rate('seedmint_batch_images_sum', 'model')} / {_rate('seedmint_batch_images_count', 'model')}"},
        ),
        Panel(
            "Time at work",
            "Seconds in each second that generators and encoders take; 100 % is one of each, busy all the time.",
            "percentunit",
            {f"{word} {{{{model}}}}": _rate(f"seedmint_{word}_seconds_sum", "model") for word in ("inference", "encoding")},
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
                "{{model}} refused": f"count by (model) (seedmint_model_refused{{{_OF}}})",
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
_COLUMNS, _WIDTH, _HEIGHT = 3, 8, 8


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
        place = {"x": 0, "y": top, "w": _COLUMNS * _WIDTH, "h": 1}
        panels.append(
            {"id": len(panels) + 1, "type": "row", "title": title, "gridPos": place, "collapsed": False, "panels": []}
        )
        top += 1
        height = _HEIGHT // 2 if row[0].good else _HEIGHT
        for number, panel in enumerate(row):
            place = {
                "x": number % _COLUMNS * _WIDTH,
                "y": top + number // _COLUMNS * height,
                "w": _WIDTH,
                "h": height,
            }
            panels.append({"id": len(panels) + 1, "gridPos": place} | _panel(panel))
        top += -(-len(row) // _COLUMNS) * height
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
    } | (_over_time(panel.unit) if panel.good is None else _number(panel.unit, panel.good))


def _over_time(unit: str) -> dict[str, Any]:
    return {
        "type": "timeseries",
        "fieldConfig": {"defaults": {"unit": unit, "min": 0, "custom": {"fillOpacity": 10}}, "overrides": []},
        "options": {
            "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []},
            "tooltip": {"mode": "multi", "sort": "desc"},
        },
    }


def _number(unit: str, good: float) -> dict[str, Any]:
    steps = [{"color": "red", "value": None}, {"color": "green", "value": good}]
    defaults: dict[str, Any] = {"unit": unit, "thresholds": {"mode": "absolute", "steps": steps}}
    if unit == "percentunit":
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
