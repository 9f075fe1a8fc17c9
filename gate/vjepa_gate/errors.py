"""The one exception that a user is meant to read."""


class UserError(Exception):
    """Something the user can mend.

    The message names the file, parameter or topic, what was found, what was expected
    and what to do; the command line prints it without a traceback.
    """
