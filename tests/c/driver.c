/* Hears a file of 16-bit samples in the three ways and prints what they predict, a line each. On a Cortex-M under
 * `qemu-system-arm -semihosting -icount shift=0`, also the instructions of each: SysTick counts one in 40 of them. */
#include "wav2small.h"

#include <stdio.h>

#ifdef __arm__
#define SYSTICK ((volatile uint32_t *)0xe000e010)
static void start_counting(void) { SYSTICK[1] = 0xffffff, SYSTICK[2] = 0, SYSTICK[0] = 5; }
static unsigned long counted(void) { return (0xfffffful - SYSTICK[2]) * 40; }
#else
static void start_counting(void) {}
static unsigned long counted(void) { return 0; }
#endif

static wav2small_net net;
static wav2small_window window;
static wav2small_running running;
static int16_t samples[60 * WAV2SMALL_SAMPLING_RATE];

static int show(const char *name, int status, const float *outputs)
{
    unsigned long instructions = counted();
    printf("%s %d", name, status);
    for (int i = 0; i < WAV2SMALL_OUTPUTS; i++)
        printf(" %.9g", outputs[i]);
    printf(" %lu\n", instructions);
    return status;
}

int main(int argc, char **argv)
{
    FILE *file = argc > 1 ? fopen(argv[argc - 1], "rb") : NULL;
    if (!file)
        return 2;
    size_t count = fread(samples, sizeof *samples, sizeof samples / sizeof *samples, file);
    fclose(file);
    float outputs[WAV2SMALL_OUTPUTS] = { 0 };

    start_counting();
    int status = show("clip", wav2small_predict_s16(&net, samples, count, outputs), outputs);

    status |= wav2small_window_reset(&window) | wav2small_running_reset(&running);
    start_counting();
    for (size_t from = 0; from < count; from += 1000)
        status |= wav2small_window_push_s16(&window, samples + from, count - from < 1000 ? count - from : 1000);
    status |= show("window", wav2small_window_predict(&window, outputs), outputs);

    start_counting();
    for (size_t from = 0; from < count; from += 777)
        status |= wav2small_running_push_s16(&running, samples + from, count - from < 777 ? count - from : 777);
    status |= show("running", wav2small_running_predict(&running, outputs), outputs);
    return status != WAV2SMALL_OK;
}
