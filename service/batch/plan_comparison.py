"""Compares plans: the plan of an output with the plan of the options, and the toolchain of a plan with this machine."""

from collections.abc import Sequence

from seedmint.service.batch.classifier import combined
from seedmint.service.batch.formats.base import toolchain
from seedmint.service.batch.plan import Plan, PlanError
from seedmint.service.runtime.generator import Generator


def check_same(existing: Plan, plan: Plan, url: str) -> None:
    """Check that the plan of an output is the plan of the options.

    Args:
        existing: The plan of the output.
        plan: The plan of the options.
        url: The output, for the error message.

    Raises:
        PlanError: The plans differ. `field` names the first difference.
    """
    if [each.model for each in existing.generators] != [each.model for each in plan.generators]:
        is_one = not (existing.others or plan.others)
        raise PlanError(
            f"{url} holds a job of {references(existing)}, and {'this generator is' if is_one else 'these generators are'} "
            f"{references(plan)}: use the generator{'s' * (not is_one)} of the job, or another output",
            field="model",
            reason="other_generator",
        )
    for field in Plan.model_fields:  # the iterator of a model also yields its cached properties, such as arrays
        value, other = getattr(existing, field), getattr(plan, field)
        if field not in ("toolchain", "others") and value != other:
            raise PlanError(
                f"{other} differs from the job in {url}, which has {value}: use the same value, or another output",
                field="split" if field == "splits" else field,
                reason="other_plan",
            )
    for of_job, here in zip(existing.generators, plan.generators, strict=True):
        if of_job.filter != here.filter:
            raise PlanError(
                f"the job in {url} was started with another version of a classifier: use another output",
                field="filter",
                reason="other_plan",
            )
        _check_same_toolchain(of_job.toolchain, here.toolchain, url)


def check_toolchain(plan: Plan, index: int, generator: Generator, url: str) -> None:
    """Check that one generator of a plan gives the bytes of the plan on this machine.

    Args:
        plan: The plan.
        index: Index of the generator.
        generator: The generator, opened here.
        url: The output, for the error message.

    Raises:
        PlanError: The bytes may differ.
    """
    _check_same_toolchain(plan.generators[index].toolchain, toolchain_here(plan, index, generator), url)


def _check_same_toolchain(of_job: dict[str, str], here: dict[str, str], url: str) -> None:
    if of_job != here:
        raise PlanError(
            f"{url} was started with {difference(of_job, here)}, and the bytes may differ: "
            f"use a machine and versions like those of the job, or another output",
            reason="other_toolchain",
        )


def references(plan: Plan) -> str:
    """Return the names and versions of the generators of a plan, for messages.

    Args:
        plan: The plan.
    """
    return " ".join(generator.reference for generator in plan.generators)


def difference(before: dict[str, str], now: dict[str, str]) -> str:
    """Describe the differences of two toolchains.

    Args:
        before: The toolchain of a plan.
        now: The toolchain of this process.
    """
    names = sorted(name for name in before.keys() | now.keys() if before.get(name) != now.get(name))
    return ", ".join(f"{name} {before.get(name, 'unknown')} (here: {now.get(name, 'none')})" for name in names)


def toolchain_here(plan: Plan, index: int, generator: Generator) -> dict[str, str]:
    """Return the toolchain that the plan would have on this machine for one of its generators.

    Args:
        plan: The plan.
        index: Index of the generator.
        generator: The generator, opened here.
    """
    of_plan = plan.generators[index]
    return toolchain(plan.format, of_plan.card, combined(generator.determinism, of_plan.filter))


def differences_here(plan: Plan, generators: Sequence[Generator]) -> list[str]:
    """Describe the differences between the toolchains of a plan and those of this machine, once each.

    Args:
        plan: The plan.
        generators: Its generators, opened here.

    Returns:
        A text for each difference; none if the plan gives the same bytes here.
    """
    pairs = [(of_plan.toolchain, toolchain_here(plan, i, generators[i])) for i, of_plan in enumerate(plan.generators)]
    return list(dict.fromkeys(difference(of_plan, here) for of_plan, here in pairs if of_plan != here))
