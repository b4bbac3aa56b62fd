"""BentoML's supervisor, which starts the worker processes and starts anew those that die, made to notice it sooner.

By itself it looks every ten seconds: with one worker, clients would wait for so long at a port that nobody serves.
"""

from functools import partial

LOOK_SECONDS = 0.5


def look_often() -> None:
    """To be called before BentoML's `serve_http`, which takes the supervisor from where this puts it.

    Raises:
        RuntimeError: BentoML is not as it is known.
    """
    from bentoml._internal.utils import circus

    make = circus.create_standalone_arbiter
    if "kwargs" not in make.__code__.co_varnames or "check_delay" not in make.__code__.co_consts:
        raise RuntimeError("BentoML is not as service/server/supervisor.py relies on it")
    circus.create_standalone_arbiter = partial(make, check_delay=LOOK_SECONDS)
