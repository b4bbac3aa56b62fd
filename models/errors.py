"""Errors whose cure is in the user's hands."""


class UserError(ValueError):
    """Something the user can mend. The message is one line that names the field and says how.

    The command line prints it and exits with 1; the service answers it as a problem.
    """
