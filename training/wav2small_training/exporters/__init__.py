"""Checkpoints -> ONNX: graph, folding, quantization."""

FOLDED_ALONE = "tcn_adv"  # the one model_type that torch cannot write as it is: its FFT has no operator in ONNX
