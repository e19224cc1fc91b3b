/* libFuzzer: whatever the samples and however they are pushed, every function returns a code and no output is NaN. */
#include "wav2small.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static wav2small_net net;
static wav2small_window window;
static wav2small_running running;

static void check(int status, const float *outputs)
{
    if (status > 0 || status < WAV2SMALL_TOO_SHORT)
        abort();
    for (int i = 0; status == WAV2SMALL_OK && i < WAV2SMALL_OUTPUTS; i++)
        if (!isfinite(outputs[i]))
            abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static float samples[4096];
    static int16_t steps[4096];
    float outputs[WAV2SMALL_OUTPUTS];
    while (size > 2) {
        size_t action = data[0], bytes = (size_t)data[1] * 64 < size - 2 ? (size_t)data[1] * 64 : size - 2;
        memcpy(samples, data + 2, bytes);
        memcpy(steps, data + 2, bytes);
        switch (action % 8) {
        case 0: check(wav2small_predict_f32(&net, samples, bytes / sizeof *samples, outputs), outputs); break;
        case 1: check(wav2small_predict_s16(&net, steps, bytes / sizeof *steps, outputs), outputs); break;
        case 2: wav2small_window_push_f32(&window, samples, bytes / sizeof *samples); break;
        case 3: wav2small_window_push_s16(&window, steps, bytes / sizeof *steps); break;
        case 4: check(wav2small_window_predict(&window, outputs), outputs); break;
        case 5: wav2small_running_push_f32(&running, samples, bytes / sizeof *samples); break;
        case 6: check(wav2small_running_predict(&running, outputs), outputs); break;
        case 7: action & 8 ? wav2small_running_reset(&running) : wav2small_window_reset(&window); break;
        }
        data += 2 + bytes, size -= 2 + bytes;
    }
    return 0;
}
