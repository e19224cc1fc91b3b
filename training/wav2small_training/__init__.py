"""Makes a student: recipe, corpora, distillation, evaluation, export and publishing."""

import wav2small  # noqa: F401  first: it keeps ONNX Runtime from reporting
