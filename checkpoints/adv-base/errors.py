"""The exception for every error that a user can fix."""


class Wav2SmallError(ValueError):
    """A bad input, checkpoint or argument; the message is one sentence that names it and the remedy.

    The command line prints the sentence and no traceback.
    """


class Wav2SmallWarning(UserWarning):
    """A prediction that one may not rely on; the command line prints it as one line."""
