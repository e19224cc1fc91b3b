"""Makes the Auto classes of transformers know ours, and saved folders carry our code. Imported for this effect."""

from transformers import AutoConfig, AutoModelForAudioClassification

from .configuration_wav2small import Wav2SmallConfig as Wav2SmallConfig
from .modeling_wav2small import Wav2SmallForAudioClassification

MODELS = (Wav2SmallForAudioClassification,)

for model in MODELS:
    AutoConfig.register(model.config_class.model_type, model.config_class, exist_ok=True)
    AutoModelForAudioClassification.register(model.config_class, model, exist_ok=True)
    model.config_class.register_for_auto_class()
    model.register_for_auto_class("AutoModelForAudioClassification")
