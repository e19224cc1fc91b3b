/* wav2small: see wav2small.h. Written by `wav2small export --format c`. */
#include "wav2small.h"

#include <math.h>

#if defined(__ARM_FEATURE_DSP) && __ARM_FEATURE_DSP
#include <arm_acle.h>
#endif

#ifndef WAV2SMALL_BITS
#define WAV2SMALL_BITS 8
#endif

