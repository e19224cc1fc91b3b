/* What JavaScript calls: one clip and one stream for each instance of the module; samples lie where `index.js` puts
 * them, behind all static data. */
#include "wav2small.h"

#define EXPORT(name) __attribute__((export_name(#name)))

static wav2small_net net;
static wav2small_running running;
static float results[WAV2SMALL_OUTPUTS];

EXPORT(outputs) const float *outputs(void) { return results; }
EXPORT(output_count) int output_count(void) { return WAV2SMALL_OUTPUTS; }
EXPORT(frame) int frame(void) { return WAV2SMALL_FRAME; }
EXPORT(clip) int clip(const float *samples, size_t count) { return wav2small_predict_f32(&net, samples, count, results); }
EXPORT(reset) int reset(void) { return wav2small_running_reset(&running); }
EXPORT(push) int push(const float *samples, size_t count) { return wav2small_running_push_f32(&running, samples, count); }
EXPORT(predict) int predict(void) { return wav2small_running_predict(&running, results); }
