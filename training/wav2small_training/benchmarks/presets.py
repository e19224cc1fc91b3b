"""The networks of the paper, by the names in tables; their weights are random until somebody trains them."""

from transformers import PretrainedConfig

from wav2small.models.auto import AdvTeacherConfig, MobileNetAdvConfig, Wav2SmallConfig

PRESETS: dict[str, PretrainedConfig] = {
    "teacher of the paper": AdvTeacherConfig(),
    "Wav2Small": Wav2SmallConfig(),
    "Wav2Small, Hub variant": Wav2SmallConfig(pooling="gram"),
    "MobileNetV4-S": MobileNetAdvConfig(backbone="mobilenetv4_conv_small"),
    "MobileNetV4-M": MobileNetAdvConfig(backbone="mobilenetv4_conv_medium"),
    "MobileNetV3-S": MobileNetAdvConfig(backbone="mobilenetv3_small_100"),
    "MobileNetV3-L": MobileNetAdvConfig(backbone="mobilenetv3_large_100"),
}
