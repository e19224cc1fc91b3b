"""Checkpoints -> ONNX: graph, folding, quantization."""

TORCH_ALONE = "prosody_adv"  # the one model_type without ONNX files: it sorts and follows pitch clip by clip
