"""Checkpoints -> ONNX: graph, folding, quantization."""

TORCH_ALONE = "prosody_adv"  # the one model_type without ONNX files: its functionals follow the pitch clip by clip
FOLDED_ALONE = "tcn_adv"  # the one model_type that torch cannot write as it is: its FFT has no operator in ONNX
