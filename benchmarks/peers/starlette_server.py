"""Starlette under uvicorn: each request runs the session in the handler. GET /SEED.png"""

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from benchmarks.peers.job import PORT, Job

_JOB = Job()


async def image(request: Request) -> Response:
    return Response(_JOB.pngs([request.path_params["seed"]])[0], media_type="image/png")


if __name__ == "__main__":
    app = Starlette(routes=[Route("/{seed:int}.png", image)])
    uvicorn.run(app, host="127.0.0.1", port=PORT, log_level="error", access_log=False)
