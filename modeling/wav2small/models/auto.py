"""Makes the Auto classes of transformers know ours, and saved folders carry our code. Imported for this effect."""

from transformers import AutoConfig, AutoModelForAudioClassification

from .configuration_adv_teacher import AdvTeacherConfig as AdvTeacherConfig
from .configuration_mobilenet_adv import MobileNetAdvConfig as MobileNetAdvConfig
from .configuration_tcn_adv import TcnAdvConfig as TcnAdvConfig
from .configuration_wav2small import Wav2SmallConfig as Wav2SmallConfig
from .modeling_adv_teacher import AdvTeacherForAudioClassification as AdvTeacherForAudioClassification
from .modeling_mobilenet_adv import MobileNetAdvForAudioClassification as MobileNetAdvForAudioClassification
from .modeling_tcn_adv import TcnAdvForAudioClassification as TcnAdvForAudioClassification
from .modeling_wav2small import Wav2SmallForAudioClassification as Wav2SmallForAudioClassification

MODELS = (
    AdvTeacherForAudioClassification,
    MobileNetAdvForAudioClassification,
    TcnAdvForAudioClassification,
    Wav2SmallForAudioClassification,
)
CLASSES = {model.config_class.model_type: model for model in MODELS}

for model in MODELS:
    AutoConfig.register(model.config_class.model_type, model.config_class, exist_ok=True)
    AutoModelForAudioClassification.register(model.config_class, model, exist_ok=True)
    model.config_class.register_for_auto_class()
    model.register_for_auto_class("AutoModelForAudioClassification")
