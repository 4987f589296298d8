"""Errors a user can act on."""


class UserError(Exception):
    """Something the user gave cannot be used.

    The message is one line that names the file or field, says what was expected and what came,
    and what to do. The command line prints it without a traceback and exits with 2.
    """
