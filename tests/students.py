"""Models as they are after training, small where they can be."""

import torch

from wav2small import TcnAdvConfig, TcnAdvForAudioClassification, Wav2SmallConfig, Wav2SmallForAudioClassification
from wav2small.models.configuration_adv_teacher import WAV2VEC2_LARGE_ROBUST_12, WAVLM_LARGE, WHISPER_BASE_3
from wav2small.models.modeling_adv_teacher import AdvTeacherConfig, AdvTeacherForAudioClassification
from wav2small.models.modeling_mobilenet_adv import MobileNetAdvConfig, MobileNetAdvForAudioClassification


def lively(model):
    """Let the batch norms of a model do something, as after training."""
    random = torch.Generator().manual_seed(0)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm1d | torch.nn.BatchNorm2d):
            module.running_mean.normal_(generator=random)
            module.running_var.uniform_(0.5, 2, generator=random)
            with torch.no_grad():
                module.weight.uniform_(0.5, 1.5, generator=random)
                module.bias.normal_(0, 0.3, generator=random)
    return model.eval()


def student(**config) -> Wav2SmallForAudioClassification:
    """A Wav2Small of full size, unless the config says otherwise."""
    torch.manual_seed(1)
    return lively(Wav2SmallForAudioClassification(Wav2SmallConfig(**config)))


def tcn(**config) -> TcnAdvForAudioClassification:
    """The temporal convolution network, tiny unless the config says otherwise."""
    torch.manual_seed(1)
    return lively(TcnAdvForAudioClassification(TcnAdvConfig(**config)))


def mobilenet() -> MobileNetAdvForAudioClassification:
    """The smallest MobileNet."""
    torch.manual_seed(1)
    return lively(MobileNetAdvForAudioClassification(MobileNetAdvConfig(backbone="mobilenetv3_small_100")))


def teacher() -> AdvTeacherForAudioClassification:
    """A teacher of both kinds of members, two layers each."""
    torch.manual_seed(1)
    small = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    small |= {"conv_dim": [32] * 7, "num_conv_pos_embeddings": 16, "num_conv_pos_embedding_groups": 2}
    members = [
        {"encoder": WAV2VEC2_LARGE_ROBUST_12 | small, "head": "mean_pool"},
        {"encoder": WAVLM_LARGE | small, "head": "attentive_stats", "mean": -8e-5, "std": 0.085},
    ]
    return AdvTeacherForAudioClassification(AdvTeacherConfig(members=members)).eval()


def whisper_teacher() -> AdvTeacherForAudioClassification:
    """A teacher of two blocks of a small Whisper encoder, with a head on the statistics of both."""
    torch.manual_seed(1)
    small = {"d_model": 48, "encoder_layers": 2, "encoder_attention_heads": 2, "encoder_ffn_dim": 64}
    member = {"encoder": WHISPER_BASE_3 | small, "head": "pooled_stats", "states": [1, 2], "hidden": 4}
    return AdvTeacherForAudioClassification(AdvTeacherConfig(members=[member])).eval()
