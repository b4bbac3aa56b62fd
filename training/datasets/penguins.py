"""The table of the Palmer penguins, which comes with the package palmerpenguins."""

import importlib.util
from pathlib import Path

LICENCE = "CC0-1.0"


def penguins_csv() -> Path:
    """Return the file of 344 rows with categories, numbers and missing values (Horst, Hill and Gorman, 2020).

    Raises:
        ModuleNotFoundError: palmerpenguins is not installed.
    """
    spec = importlib.util.find_spec("palmerpenguins")  # does not import the package, which imports pandas
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("No module named 'palmerpenguins'", name="palmerpenguins")
    return Path(spec.origin).parent / "data" / "penguins.csv"
