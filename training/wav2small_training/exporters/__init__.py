"""Checkpoints -> ONNX: graph, folding, quantization."""

TORCH_ALONE = "prosody_adv"  # the one model_type without ONNX files: its functionals follow the pitch clip by clip
