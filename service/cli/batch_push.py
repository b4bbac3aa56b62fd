"""`seedmint batch push`: publishes a finished job on the Hugging Face Hub."""

import click

from seedmint.models.installation import install_command
from seedmint.service.batch.job import load_plan
from seedmint.service.batch.plan import PlanError
from seedmint.service.batch.storage.resolve import open_output
from seedmint.service.cli.batch_progress import show_progress


@click.command()
@click.argument("out", metavar="DIR_OR_URL")
@click.argument("hub_url", metavar="HUB_URL")
@click.option("--private", "is_private", is_flag=True, help="Make the repository private, if it does not exist yet.")
def push(out: str, hub_url: str, is_private: bool) -> None:
    """Publish a finished job as a data set on the Hugging Face Hub.

    HUB_URL is hf://datasets/USER/NAME, or hf://datasets/USER/NAME@BRANCH. Log in with hf auth login, or set HF_TOKEN.

    \b
    seedmint batch push out hf://datasets/user/digits

    All files appear in one commit. If the command is interrupted, the data set stays as it was. Run the same command again: it
    uploads only the rest. A data card that the repository has already stays as it is.

    \b
    Exit status:
      0  the data set is on the Hub
      1  a later try may succeed: the Hub does not answer, or a shard is damaged
      2  a later try fails too: the job is not finished, no permission, or the repository has another data set
    """
    try:
        from seedmint.service.batch.push import parse_hub_url
        from seedmint.service.batch.push import push as push_job
    except ModuleNotFoundError as error:
        if error.name != "huggingface_hub":
            raise
        raise PlanError(
            f"the library of the Hugging Face Hub is not installed: {install_command('hub')}",
            field="hub_url",
            reason="library_missing",
        ) from None
    target = parse_hub_url(hub_url)
    output = open_output(out)
    plan = load_plan(output)
    if plan is None:
        raise PlanError(f"{output.url} holds no job", field="out", reason="no_job")
    count = plan.count if plan.format == "png" else plan.num_shards
    with show_progress("files", count, count) as on_progress:
        pushed = push_job(output, plan, target, is_private, on_progress)
    if pushed.files == 0:
        click.echo(f"{target.url} has all files already")
        return
    click.echo(f"{pushed.files:,} files are in {target.url}")
    if pushed.keeps_card:
        click.echo("the data card of the repository stays as it is", err=True)
