/* wav2small: arousal, dominance and valence from speech, about 0..1, in C99 without a heap or a library but libm.
 *
 * Written by `wav2small export --format c` from @NAME@ (@KIND@); licence of the weights: @LICENCE@.
 *
 *     static wav2small_running listener;                     // samples -> network, as they come
 *     float outputs[WAV2SMALL_OUTPUTS];
 *     wav2small_running_reset(&listener);
 *     wav2small_running_push_s16(&listener, samples, count); // as often as there are samples
 *     if (wav2small_running_predict(&listener, outputs) == WAV2SMALL_OK)
 *         printf("arousal %.2f\n", outputs[WAV2SMALL_AROUSAL]);
 *
 * Compile with -DWAV2SMALL_BITS=8 (default), @FOUR@or 32: bits of a weight.
 *
 * Shapes: @RATE@ Hz -> frames of @WINDOW@ samples, one every @HOP@ -> FFT of @N_FFT@ -> @BANDS@ bands
 *     -> @SHAPES@
 *
 * Three ways to listen. The network normalises the level: each sample becomes (sample - mean) * gain, where mean and
 * gain are those of the whole clip. They stand before the logarithm and its floor, so that no frame can be computed
 * before its clip has ended:
 *   - `wav2small_predict_*`: a clip in memory. It is read twice, first for its level. Exact.
 *   - `wav2small_window`: a ring of samples; its level is known when a prediction is asked for, and the ring then goes
 *     through the network from an empty state, with the zeros after its end that the network was trained with. Exact.
 *   - `wav2small_running`: no ring. A frame has the level of the @LEVEL_SECONDS@ s before its end (of all, while there
 *     are fewer, then an exponential average), so that predictions differ from those of a clip. Pooling is over all
 *     that was heard since `reset`; the last @BEHIND@ s are not yet in it, because the network hears them first.
 *
 * State: a ring of inputs before each convolution, the softmax over time as its largest score, sum of weights and
 * weighted sum of features, and moments after Welford: it does not grow with time. No function keeps a pointer. One
 * object must not be used by two threads at once; different objects may.
 */
#ifndef WAV2SMALL_H
#define WAV2SMALL_H

#include <stddef.h>
#include <stdint.h>

