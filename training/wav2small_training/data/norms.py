"""Emotion words -> arousal, dominance, valence: published norms, for corpora that have only emotion words.

Pleasure (here valence), arousal and dominance of Russell and Mehrabian (1977), "Evidence for a three-factor theory of
emotions", Journal of Research in Personality 11, 273-294, on a scale of -1..1. Where their 151 terms have no such word,
the nearest term stands in, or the mean rating of Warriner, Kuperman and Brysbaert (2013), "Norms of valence, arousal,
and dominance for 13,915 English lemmas", Behavior Research Methods 45, 1191-1207, on a scale of 1..9.

A norm says how people rate a *word*. It is not a rating of the voice: a model trained on norms must admit to it.
"""

import numpy as np

MIDDLE = 0.5  # of the scale of 0..1, and the norm of "neutral"
RUSSELL_MEHRABIAN = {  # emotion word of the corpus: (term of the table, valence, arousal, dominance)
    "adoration": ("devoted", 0.49, 0.17, 0.10),
    "amusement": ("enjoyment", 0.77, 0.44, 0.42),
    "anger": ("angry", -0.51, 0.59, 0.25),
    "awe": ("awed", 0.18, 0.40, -0.38),
    "boredom": ("bored", -0.65, -0.62, -0.33),
    "confusion": ("confused", -0.53, 0.27, -0.32),
    "contempt": ("contempt", -0.23, 0.31, 0.18),
    "contentment": ("untroubled", 0.79, -0.01, 0.33),
    "desire": ("sexually excited", 0.58, 0.62, -0.01),
    "disappointment": ("discouraged", -0.61, -0.15, -0.29),
    "disgust": ("disgusted", -0.60, 0.35, 0.11),
    "distress": ("distressed", -0.61, 0.28, -0.36),
    "ecstasy": ("excited", 0.62, 0.75, 0.38),
    "elation": ("elated", 0.50, 0.42, 0.23),
    "embarrassment": ("embarrassed", -0.46, 0.54, -0.24),
    "fear": ("fearful", -0.64, 0.60, -0.43),
    "guilt": ("guilty", -0.57, 0.28, -0.34),  # some transcriptions of the table print an arousal of -.28
    "happiness": ("happy", 0.81, 0.51, 0.46),
    "interest": ("interested", 0.64, 0.51, 0.17),
    "neutral": ("the middle of the scale", 0.0, 0.0, 0.0),
    "negative surprise": ("startled", -0.09, 0.65, -0.33),
    "pain": ("pain", -0.58, 0.41, -0.34),
    "positive surprise": ("surprised", 0.40, 0.67, -0.13),
    "pride": ("proud", 0.77, 0.38, 0.65),
    "relief": ("consoled", 0.29, -0.19, -0.28),
    "romantic love": ("in love", 0.82, 0.65, -0.05),
    "sadness": ("sad", -0.63, -0.27, -0.33),
    "serenity": ("relaxed", 0.68, -0.46, 0.06),
    "shame": ("shamed", -0.57, 0.01, -0.34),
    "triumph": ("triumphant", 0.69, 0.57, 0.63),
}
WARRINER = {  # emotion word of the corpus: (lemma of the table, valence, arousal, dominance)
    "realization": ("realization", 6.42, 3.67, 5.68),
    "sympathy": ("sympathy", 6.57, 3.08, 5.90),
}

# Groups of emotion words, (high, low), that acted speech must separate: AUC of the predictions between them needs no
# norms. Arousal: words of an aroused speaker against words of a calm one; surprise is aroused, of either valence.
# Valence: the one positive word that most corpora have against negative ones.
AUC_GROUPS = {
    "arousal": (("anger", "fear", "happiness", "surprise"), ("sadness", "neutral")),
    "valence": (("happiness",), ("anger", "fear", "sadness")),
}


def emotion_norm(emotion: str) -> np.ndarray:
    """Look up the norm of one emotion word: (3,) float32, arousal, dominance, valence in 0..1.

    Raises:
        KeyError: if neither table has the word.
    """
    if emotion in RUSSELL_MEHRABIAN:
        _, valence, arousal, dominance = RUSSELL_MEHRABIAN[emotion]
        return (np.array([arousal, dominance, valence], np.float32) + 1) / 2
    _, valence, arousal, dominance = WARRINER[emotion]
    return (np.array([arousal, dominance, valence], np.float32) - 1) / 8


def shrink_to_middle(norm: np.ndarray, agreement: float) -> np.ndarray:
    """Move the norm of a clip's emotion word towards the middle of the scale, the more its listeners disagreed.

    Who does not hear the emotion most often hears none, and the norm of "neutral" is the middle of the scale. Unlike
    the mean of a corpus, it does not depend on the other clips: a clip has one target, in training and in evaluation.

    Args:
        norm: (3,), 0..1.
        agreement: share of the listeners who chose the word, 0..1.
    """
    return np.asarray(MIDDLE + agreement * (norm - MIDDLE), np.float32)
