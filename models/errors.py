"""Errors whose cure is in the user's hands."""


class UserError(ValueError):
    """Something the user can mend. The message is one line that names the field and says how.

    The command line prints it and exits with `status`; the service answers it as a problem.

    Attributes:
        status: 1; 2 where the same command must fail again, however often it is tried.
    """

    status = 1


def one_line(text: object, most: int = 400) -> str:
    """What a file says, as a log or a terminal can show it: at most so many characters, and none that moves a cursor."""
    whole = str(text)
    shown = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in whole[:most])
    return shown + " ..." * (len(whole) > most)
