/* wav2small: see wav2small.h. Written by `wav2small export --format c`. */
#include "wav2small.h"

#include <math.h>

#if defined(__ARM_FEATURE_DSP) && __ARM_FEATURE_DSP
#include <arm_acle.h>
#elif defined(__wasm_simd128__)
#include <wasm_simd128.h>
#endif

#ifndef WAV2SMALL_BITS
#define WAV2SMALL_BITS 8
#endif

