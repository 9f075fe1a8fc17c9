"""The one exception that a user of the simulation is meant to read."""


class SimError(Exception):
    """Something the user can mend; the command line prints it without a traceback."""
