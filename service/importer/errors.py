"""The error of an import."""

import re

from seedmint.models.errors import UserError

_SOURCE = re.compile(r"/\S+:\d+: \w+: (Assertion `.*?` failed: )?")  # place in the C++ code of ONNX


class GeneratorImportError(UserError):
    """A file cannot be imported as a generator, or an option is missing or wrong.

    `field` is the option of `ImportOptions` that is missing or wrong; None if no option helps. `reason` is a stable code:
    docs/import.md lists the codes.
    """

    reason = "import_failed"


def first_line(error: Exception, max_length: int = 300) -> str:
    """Return the first line of the text of an error from another library.

    Args:
        error: The error.
        max_length: Characters to keep.
    """
    text = (str(error) or repr(error)).strip().splitlines()[0]
    return _SOURCE.sub("", text)[:max_length]
