"""The default settings on made series of two channels and different lengths, judged beside real series."""

import numpy as np
import pytest
import torch

from seedmint.training.cli.front_door import derive
from seedmint.training.datasets import load_splits
from seedmint.training.evaluation.sample_metrics import RealSamples, measure_samples
from seedmint.training.export.served_generator import SeedSampler
from seedmint.training.runs.directory import create_run

STEPS = 1500


def write_sensors(path, count=400):
    """Write sine waves with noise of 20 to 48 hours: `load` follows `temp` by a quarter of a period."""
    rng = np.random.default_rng(0)
    lines = ["sensor,time,temp,load"]
    for i in range(count):
        length, frequency, phase, size = (
            int(rng.integers(20, 49)),
            rng.uniform(0.03, 0.1),
            rng.uniform(0, 6.3),
            rng.uniform(1, 3),
        )
        angle = 2 * np.pi * frequency * np.arange(length) + phase
        temp = 20 + size * np.sin(angle) + rng.normal(0, 0.1, length)
        load = 50 + 5 * size * np.cos(angle) + rng.normal(0, 1, length)
        times = np.datetime64("2024-01-01T00:00:00") + np.arange(length) * np.timedelta64(1, "h")
        lines += [f"s{i},{time},{a:.2f},{b:.1f}" for time, a, b in zip(times, temp, load, strict=True)]
    path.write_text("\n".join(lines) + "\n")


@pytest.mark.slow
@pytest.mark.timeout(1800)  # a minute of CPU time
def test_default_settings_give_series_like_the_data(tmp_path):
    write_sensors(tmp_path / "sensors.csv")
    recipe = derive(str(tmp_path / "sensors.csv"), (f"steps={STEPS}",), has_gpu=False).recipe
    trainer = create_run(tmp_path / "run", recipe, torch.device("cpu"))
    trainer.fit()
    train, held_out = load_splits(recipe.data)
    sampler = SeedSampler.of_recipe(recipe, train, torch.device("cpu"))
    generator = trainer.state.algorithm.ema
    real = RealSamples(recipe.data, train, held_out)
    found = {metric.metric: metric for metric in measure_samples(real, lambda seeds: sampler.sample(generator, seeds))}
    values = {name: round(metric.value, 3) for name, metric in found.items()}
    assert max(values[f"kolmogorov-smirnov of {name}"] for name in ("temp", "load")) < 0.1, values
    assert max(values[f"autocorrelation-difference of {name}"] for name in ("temp", "load")) < 0.2, values
    assert values["detection-auc"] < 0.85, values
    assert values["channel-correlation-difference"] < 0.05, values
