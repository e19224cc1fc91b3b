"""Makes `optimum-cli export onnx` know our models.

Installed as `optimum/commands/register/register_wav2small.py`, where optimum-cli looks for plug-ins at each start.
"""

import sys

if "onnx" in sys.argv:  # the import takes seconds, which no other command should wait for
    import wav2small_training.exporters.export  # noqa: F401
