"""The one exception that a user is meant to read."""


class InputError(ValueError):
    """A key, flag or file is wrong; its text has one line for each problem.

    A line names the key or file, what was expected and what was found.
    """
