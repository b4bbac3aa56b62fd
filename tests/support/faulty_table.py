"""A made table of columns that are hard to learn: rare categories, mostly zeros, cents, limits, dates, and missing values."""

import csv
from pathlib import Path

import numpy as np

NAMES = ("age", "region", "member", "claims", "income", "since", "score", "height", "flag")


def write_faulty_table(path: Path, n: int, seed: int = 0) -> None:
    """Write the table as CSV.

    age: 18 to 90, many at the limits; region: a class of 1%; member: 20% true; claims: 90% zeros; income: cents, log-normal,
    rises with the age; since: dates; score: two modes; height: 15% missing; flag: 20% ones.
    """
    random = np.random.default_rng(seed)
    age = random.normal(45, 18, n).clip(18, 90).round().astype(int)
    region = random.choice(["north", "south", "east", "rare"], n, p=[0.5, 0.3, 0.19, 0.01])
    member = np.where(random.random(n) < 0.2, "true", "false")
    claims = np.where(random.random(n) < 0.9, 0, random.integers(1, 400, n))
    income = np.exp(random.normal(8.5, 0.7, n)) + 20 * age
    since = np.datetime64("2019-01-01") + random.integers(0, 1800, n)
    score = np.where(random.random(n) < 0.5, random.normal(-3, 0.5, n), random.normal(3, 0.7, n))
    height = np.where(random.random(n) < 0.15, "", np.char.mod("%.2f", random.normal(1.72, 0.09, n)))
    flag = (random.random(n) < 0.2).astype(int)
    columns = (age, region, member, claims, np.char.mod("%.2f", income), since, np.char.mod("%.6f", score), height, flag)
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(NAMES)
        writer.writerows(zip(*columns, strict=True))
