"""Code samples of each operation, in curl, Python and JavaScript, for the OpenAPI document (`x-codeSamples`).

The generators that are served give the values, so that the samples run as they are.
"""

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from seedmint.service.api.openapi.operations import JSON, Operation

Json = dict[str, Any]

API_KEY = "YOUR_API_KEY"
_LATENTS = "LatentsRequest"
_LATENT_OF_SEED = "/v1/models/{model}/latents/42.json"  # a body for /v1/latents: a vector is too long for a sample
_IDS = {"job": "0123456789abcdef"}  # values of parameters without an example in the document
_ACCEPT = {"images": ("image/webp", "webp"), "samples": ("text/csv", "csv")}  # a media type and its file name extension


@dataclass(frozen=True, slots=True)
class _Call:
    """A request of a sample.

    Attributes:
        method: "GET", "POST" or "DELETE".
        url: The whole URL.
        headers: Headers besides Content-Type.
        body: JSON body; None without a body.
        body_url: URL that returns the JSON body; None if the sample contains the body or has none.
        has_redirect: Whether a response may be a redirect.
        result: "json" or "text" to print the response, "" if the response is empty, or the name of the file to write.
    """

    method: str
    url: str
    headers: dict[str, str]
    body: Json | None
    body_url: str | None
    has_redirect: bool
    result: str

    @property
    def has_body(self) -> bool:
        """Whether the request has a body."""
        return self.body is not None or self.body_url is not None

    @property
    def is_file(self) -> bool:
        """Whether the response is written to a file."""
        return self.result not in ("", "json", "text")


@dataclass(frozen=True, slots=True)
class SampleWriter:
    """Writes the code samples of operations.

    Attributes:
        parameters: Parameters of the document by name, with examples.
        schemas: Schemas of the document by name, with examples.
        server: URL of the server, without a final slash.
    """

    parameters: Mapping[str, Json]
    schemas: Mapping[str, Json]
    server: str

    def samples(self, path: str, operation: Operation, needs_key: bool) -> list[Json]:
        """Return the samples of an operation; none if the server has no generator that gives an example.

        Args:
            path: Path of the document, with names of parameters in braces.
            operation: The operation.
            needs_key: Whether the operation needs an API key.
        """
        address = self._address(path, operation)
        body = self._body(operation)
        if address is None or (body is None and operation.method == "post" and operation.body is not None):
            return []
        headers = {"Authorization": f"Bearer {API_KEY}"} if needs_key else {}
        if "Accept" in operation.parameters:
            headers["Accept"] = _ACCEPT[operation.tag][0]
        body_url = None
        if operation.body == _LATENTS and body is not None:
            body_url = self.server + _LATENT_OF_SEED.replace("{model}", quote(body["model"]))
        has_redirect = 307 in operation.answers or body_url is not None
        result = _result(address, operation, body)
        url = self.server + address
        call = _Call(operation.method.upper(), url, headers, None if body_url else body, body_url, has_redirect, result)
        return [
            {"lang": "shell", "label": "curl", "source": _curl(call)},
            {"lang": "python", "label": "Python", "source": _python(call)},
            {"lang": "javascript", "label": "JavaScript", "source": _javascript(call)},
        ]

    def _address(self, path: str, operation: Operation) -> str | None:
        """Return the path and the query with all required parameters; None if one has no example."""
        query = {}
        for parameter in (self.parameters[name] for name in operation.parameters):
            if not parameter.get("required"):
                continue
            name = parameter["name"]
            value = parameter.get("example") or _IDS.get(name) or next(iter(parameter["schema"].get("enum", ())), None)
            if value is None:
                return None
            if parameter["in"] == "path":
                path = path.replace(f"{{{name}}}", quote(str(value), safe="@/"))
            else:
                query[name] = value
        return path + (f"?{urlencode(query)}" if query else "")

    def _body(self, operation: Operation) -> Json | None:
        """Return the example of the body; None without a body or an example."""
        if operation.method != "post" or operation.body is None:
            return None
        examples: list[Json] = self.schemas[operation.body].get("examples", [])
        return examples[0] if examples else None


def _result(address: str, operation: Operation, body: Json | None) -> str:
    """Return `result` of a call."""
    if operation.method == "delete":
        return ""
    name = address.partition("?")[0].rpartition("/")[2]
    content = [media_type for answer in operation.answers.values() for media_type in answer.content]
    if "Accept" in operation.parameters:
        return f"{name}.{_ACCEPT[operation.tag][1]}"
    if "." in name:  # the address names the format
        return "json" if name.endswith(".json") else name
    if JSON in content[:1]:
        return "json"
    if all(media_type.startswith("text/") for media_type in content):
        return "text"
    return f"{name}.{(body or {}).get('format', 'npy')}"


def _curl(call: _Call) -> str:
    headers = [f"--header {shlex.quote(f'{name}: {value}')}" for name, value in call.headers.items()]
    first = f"curl {'--location ' if call.has_redirect else ''}"
    if call.method == "DELETE" or (call.method == "POST" and not call.has_body):
        first += f"--request {call.method} "
    parts = [first + shlex.quote(call.url), *headers]
    if call.has_body:
        data = "@-" if call.body is None else shlex.quote(json.dumps(call.body))
        parts += ["--header 'Content-Type: application/json'", f"--data {data}"]
    if call.is_file:
        parts.append(f"--output {shlex.quote(call.result)}")
    command = " \\\n  ".join(parts)
    if call.body_url is None:
        return command
    source = " \\\n  ".join([f"curl --location {shlex.quote(call.body_url)}", *headers])
    return f"{source} |\n{command}"


def _python(call: _Call) -> str:
    lines = ["import httpx", ""]
    options = ""
    if call.headers:
        lines.append(f"headers = {json.dumps(call.headers)}")
        options += ", headers=headers"
    if call.has_redirect:
        options += ", follow_redirects=True"
    if call.body_url is not None:
        lines += [f"source = {json.dumps(call.body_url)}", f"body = httpx.get(source{options}).json()"]
    elif call.body is not None:
        lines.append(f"body = {call.body!r}")
    if call.has_body:
        options += ", json=body"
    lines += [f"url = {json.dumps(call.url)}", f"response = httpx.{call.method.lower()}(url{options})"]
    lines.append("response.raise_for_status()")
    if call.is_file:
        lines += [f'with open({json.dumps(call.result)}, "wb") as file:', "    file.write(response.content)"]
    elif call.result:
        lines.append(f"print(response.{'json()' if call.result == 'json' else 'text'})")
    return "\n".join(lines)


def _javascript(call: _Call) -> str:
    lines = [f"const headers = {json.dumps(call.headers)};"] if call.headers else []
    options = [] if call.method == "GET" else [f'method: "{call.method}"']
    if call.body_url is not None:
        source = json.dumps(call.body_url)
        lines.append(f"const source = await fetch({source}{', { headers }' if call.headers else ''});")
        lines.append("const body = await source.text();")
    elif call.body is not None:
        lines.append(f"const body = JSON.stringify({json.dumps(call.body)});")
    if call.has_body:
        others = "...headers, " if call.headers else ""
        options += [f'headers: {{ {others}"Content-Type": "application/json" }}', "body"]
    elif call.headers:
        options.append("headers")
    lines.append(f"const url = {json.dumps(call.url)};")
    lines.append(f"const response = await fetch(url{', { ' + ', '.join(options) + ' }' if options else ''});")
    lines.append("if (!response.ok) throw new Error(await response.text());")
    if call.is_file:
        lines += ["const file = await response.blob();", "console.log(file.type, file.size);"]
    elif call.result:
        lines.append(f"console.log(await response.{call.result}());")
    return "\n".join(lines)
