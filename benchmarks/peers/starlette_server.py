"""Starlette under uvicorn: each request runs the session in the handler. GET /SEED.png"""

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from benchmarks.peers.job import PORT, WORKERS, Job

_JOB = Job()


async def image(request: Request) -> Response:
    return Response(_JOB.pngs([request.path_params["seed"]])[0], media_type="image/png")


app = Starlette(routes=[Route("/{seed:int}.png", image)])

if __name__ == "__main__":
    target = app if WORKERS == 1 else "benchmarks.peers.starlette_server:app"
    uvicorn.run(target, host="127.0.0.1", port=PORT, log_level="error", access_log=False, workers=WORKERS)
