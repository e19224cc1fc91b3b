"""The one exception that the library raises for what a user can fix."""


class Wav2SmallError(ValueError):
    """Bad input, a bad checkpoint or a bad request, told in one sentence that names it and the remedy.

    The command line prints the sentence and no traceback.
    """
