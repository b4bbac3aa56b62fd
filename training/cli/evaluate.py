"""The command `evaluate`."""

from pathlib import Path

import click

from seedmint.models.card import SampleOutput
from seedmint.models.directory import find_generator, models_directory
from seedmint.models.errors import UserError
from seedmint.training.cli.options import DATA, METRICS, MODELS, SAMPLES


@click.command()
@click.argument("model", metavar="GENERATOR")
@DATA
@METRICS
@SAMPLES
@click.option("--json", "as_json", is_flag=True, help="Print the metrics as one JSON document.")
@click.option("--report", type=click.Path(path_type=Path), help="Write an HTML report to this .html file or directory.")
@click.option("--out", type=click.Path(path_type=Path), help="Write a picture of the generator's output to this .png file.")
@click.option("--write", is_flag=True, help="Write the metrics to the card of the file. This changes the file's digest.")
@click.option(
    "--training-images/--no-training-images",
    "shows_training_images",
    default=None,
    help="With --write: whether the card shows the training images that are nearest to the images of the first seeds, or only "
    "their rows. Everyone who has the file, or asks the server, sees the card. Default: only images of public data sets.",
)
@MODELS
def evaluate(
    model: str,
    data: str | None,
    metrics: str | None,
    samples: int | None,
    as_json: bool,
    report: Path | None,
    out: Path | None,
    write: bool,
    shows_training_images: bool | None,
    models: Path | None,
) -> None:
    """Measure all metrics that apply to a generator and its data.

    GENERATOR is a name in the models directory, or a path. Compare only values with the same metric and protocol; the names of
    metrics that use a classifier contain the classifier's name. Generators of samples are compared with held-out data:
    the distribution of each column, and the correlations of the columns.

    \b
    Examples:
      seedmint evaluate mnist
      seedmint evaluate mine --metrics frechet,prdc --report mine.html
      seedmint evaluate mine --write --out mine.png
    """
    if shows_training_images is not None and not write:
        raise UserError("needs --write", field="training_images", reason="needs_write")
    if out is not None and out.suffix.lower() != ".png":
        raise UserError(f"{out} must end in .png", field="out", reason="unknown_suffix")
    from seedmint.training.cli.data_option import select_data, select_images
    from seedmint.training.cli.evaluate_images import evaluate_images
    from seedmint.training.cli.evaluate_samples import evaluate_samples
    from seedmint.training.evaluation.generator_file import read_generator

    path = find_generator(model, models or models_directory())
    opened = read_generator(path)
    if isinstance(opened.card.output, SampleOutput):
        source = select_data(opened.card.provenance.recipe, data)
        image_options = {"metrics": metrics, "samples": samples, "training_images": shows_training_images}
        for name, value in image_options.items():
            if value is not None:
                raise UserError(f"{opened.card.name} generates samples, not images", field=name, reason="not_images")
        evaluate_samples(path, opened, source, as_json, report, out, write)
    else:
        source, splits = select_images(opened.card, data)
        evaluate_images(path, opened, source, splits, metrics, samples, as_json, report, out, write, shows_training_images)
