"""Formats the summary of images for the terminal."""

from seedmint.training.datasets.packed.report import Report

_MAX_SIZES, _MAX_CLASSES = 5, 20
_CHANNELS = {1: "grayscale", 3: "color", 4: "color with opacity"}


def format_report(path: str, report: Report) -> str:
    """Return the summary in lines: number, classes, sizes, range, what is skipped or converted, and every broken image.

    Args:
        path: The source.
        report: The summary.
    """
    lines = [
        f"{path} ({report.kind}): {report.count:,} images, {report.count - report.held_out:,} for training and "
        f"{report.held_out:,} held out",
        f"  images   {report.width}x{report.height} pixels, {_CHANNELS[report.channels]}, values {report.value_range[0]} to "
        f"{report.value_range[1]}",
        f"  sizes    {_sizes(report)}",
        f"  classes  {_classes(report)}",
    ]
    if report.duplicates:
        lines.append(f"  note     {report.duplicates:,} images are equal to another image")
    for note in report.notes:
        examples = f": {', '.join(note.examples)}{', ...' if note.count > len(note.examples) else ''}" if note.examples else ""
        lines.append(f"  note     {note.count:,} {note.text}{examples}")
    lines += [f"  broken   {entry.name}: {entry.problem}" for entry in report.broken]
    return "\n".join(lines)


def _sizes(report: Report) -> str:
    listed = [f"{width}x{height} ({count:,})" for width, height, count in report.sizes[:_MAX_SIZES]]
    others = len(report.sizes) - _MAX_SIZES
    return ", ".join(listed) + (f" and {others:,} other sizes" if others > 0 else "")


def _classes(report: Report) -> str:
    if not report.classes:
        return "none; to train with labels, sort the images into one folder for each class"
    listed = ", ".join(f"{name} ({count:,})" for name, count in report.classes[:_MAX_CLASSES])
    others = len(report.classes) - _MAX_CLASSES
    return f"{len(report.classes):,}: {listed}" + (f" and {others:,} others" if others > 0 else "")
