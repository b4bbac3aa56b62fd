"""Small recipes for tests."""

ADAM = {"kind": "adam", "learning_rate": 1e-3}
PAPER = {"generator": {"kind": "paper", "width": 32}, "discriminator": {"kind": "paper", "width": 8}}
PAPER_MINIMAX = {
    **PAPER,
    "objective": "minimax",
    "prior": "uniform",
    "k": 2,
    "ema": 0.0,
    "rule": {
        "generator": {"kind": "momentum", "learning_rate": 0.1, "final_momentum": 0.7, "ramp": 15, "decay": 1.000004},
        "discriminator": {"kind": "rmsprop", "learning_rate": 1e-3},
    },
}


def recipe_document(**fields):
    """Return a recipe on digits that trains in seconds, with the given fields replaced."""
    document = {
        "name": "small",
        "title": "Small",
        "data": {"source": "digits"},
        "conditional": False,
        "z_dim": 8,
        "generator": {"kind": "convolutional", "width": 8},
        "discriminator": {"kind": "convolutional", "width": 8},
        "m": 16,
        "steps": 20,
        "rule": {"generator": ADAM, "discriminator": ADAM},
        "ema": 0.9,
        "every": {"log": 5, "preview": 10, "checkpoint": 5},
    }
    return {**document, **fields}
