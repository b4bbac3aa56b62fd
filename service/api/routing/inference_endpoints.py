"""The route table of the Open Inference Protocol."""

from seedmint.service.api.inference import max_infer_bytes
from seedmint.service.api.openapi.operations import BINARY, JSON, Answer, Operation
from seedmint.service.api.routing.endpoint import Endpoint
from seedmint.service.api.routing.inference_handlers import InferenceHandlers

_METADATA = {200: Answer("The inputs and outputs.", {JSON: "ModelMetadata"})}
_READY = {200: Answer("The model is ready.", {JSON: "Ready"})}
_INFER = {
    200: Answer(
        "The output tensor; with the binary extension, a JSON document and the bytes after it.",
        {JSON: "InferResponse", BINARY: None},
    )
}
_INVALID = (400, 404, 408, 413, 415, 422, 429, 503, 504)


def _of_model(path: str, suffix: str, parameters: tuple[str, ...]) -> tuple[Endpoint, ...]:
    return (
        Endpoint(
            path,
            InferenceHandlers.metadata,
            Operation(
                f"getModelMetadata{suffix}",
                "inference",
                "Returns the inputs and outputs of a model",
                _METADATA,
                (404, 503),
                parameters,
            ),
        ),
        Endpoint(
            f"{path}/ready",
            InferenceHandlers.model_ready,
            Operation(f"isModelReady{suffix}", "inference", "Checks whether a model is ready", _READY, (404, 503), parameters),
        ),
        Endpoint(
            f"{path}/infer",
            InferenceHandlers.infer,
            Operation(
                f"infer{suffix}",
                "inference",
                "Generates images or samples from the tensors seed, label and truncation, or from z",
                _INFER,
                _INVALID,
                parameters,
                method="post",
                body="InferRequest",
            ),
            max_infer_bytes,
        ),
    )


ENDPOINTS: tuple[Endpoint, ...] = (
    Endpoint(
        "/v2/health/live",
        InferenceHandlers.live,
        Operation(
            "isServerLive",
            "inference",
            "Checks whether the server is alive",
            {200: Answer("The server is alive.", {JSON: "Live"})},
            is_public=True,
            served_while_draining=True,
        ),
    ),
    Endpoint(
        "/v2/health/ready",
        InferenceHandlers.ready,
        Operation(
            "isServerReady",
            "inference",
            "Checks whether the server is ready, as /readyz does",
            {200: Answer("The server is ready.", {JSON: "Ready"})},
            (503,),
            is_public=True,
        ),
    ),
    Endpoint(
        "/v2",
        InferenceHandlers.server,
        Operation(
            "getServerMetadata",
            "inference",
            "Returns the name, the version and the extensions of the server",
            {200: Answer("The server.", {JSON: "ServerMetadata"})},
        ),
    ),
    *_of_model("/v2/models/{model}", "", ("Model",)),
    *_of_model("/v2/models/{model}/versions/{version}", "Version", ("Model", "Version")),
)
