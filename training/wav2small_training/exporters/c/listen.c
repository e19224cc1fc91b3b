/* ---- Listening: a clip, a window, or a stream -------------------------------------------------------------------- */

#define READY 0x57325331u /* what `reset` writes into a listener */
#define LOUDEST 1e15f     /* squares of larger samples could overflow a float */

static void reset_net(wav2small_net *net)
{
    const wav2small_net zeros = { 0 };
    *net = zeros;
}

static int all_finite(const float *samples, size_t count)
{
    int beyond = 0;
    for (size_t i = 0; i < count; i++)
        beyond |= !(fabsf(samples[i]) <= LOUDEST); /* also true for NaN */
    return !beyond;
}

/* The two forms of a clip; a ring is 16-bit samples whose first is at `start`. */
struct clip { const float *f32; const int16_t *s16; size_t start, capacity, count; };

static void read_clip(const struct clip *clip, size_t from, size_t count, float *restrict samples)
{
    if (clip->f32) {
        for (size_t i = 0; i < count; i++)
            samples[i] = clip->f32[from + i];
        return;
    }
    size_t at = (clip->start + from) % clip->capacity, before_end = clip->capacity - at;
    size_t first = before_end < count ? before_end : count;
    for (size_t i = 0; i < first; i++)
        samples[i] = (float)clip->s16[at + i] * (1.0f / 32768.0f);
    for (size_t i = first; i < count; i++)
        samples[i] = (float)clip->s16[i - first] * (1.0f / 32768.0f);
}

/* Sum of (sample - centre)^power, power 1 or 2: side by side, so that compilers vectorise it. */
static float sum_of(const float *samples, size_t count, float centre, int power)
{
    float sums[8] = { 0 }, sum = 0.0f;
    size_t i = 0;
    for (; i + 8 <= count; i += 8)
        for (int j = 0; j < 8; j++) {
            float each = samples[i + j] - centre;
            sums[j] += power == 2 ? each * each : each;
        }
    for (; i < count; i++)
        sum += power == 2 ? (samples[i] - centre) * (samples[i] - centre) : samples[i] - centre;
    for (int j = 0; j < 8; j++)
        sum += sums[j];
    return sum;
}

/* The mean of (sample - centre)^power of a clip: few sums are in double precision, one for HOP samples. */
static double mean_of(const struct clip *clip, float centre, int power)
{
    float samples[HOP];
    double sum = 0.0;
    for (size_t from = 0; from < clip->count; from += HOP) {
        size_t count = clip->count - from < HOP ? clip->count - from : HOP;
        read_clip(clip, from, count, samples);
        sum += sum_of(samples, count, centre, power);
    }
    return sum / (double)clip->count;
}

static int predict(wav2small_net *net, const struct clip *clip, float outputs[WAV2SMALL_OUTPUTS])
{
    float samples[WINDOW], bands[BANDS];
    if (clip->count < WINDOW)
        return WAV2SMALL_TOO_SHORT;
    float mean = (float)mean_of(clip, 0.0f, 1);
    struct level level = level_of(mean, (float)mean_of(clip, mean, 2));
    reset_net(net);
    for (size_t from = 0; from + WINDOW <= clip->count; from += HOP) {
        read_clip(clip, from, WINDOW, samples);
        log_mel(samples, level, bands);
        next_row(net, bands);
    }
    finish(net);
    conclude(net, outputs);
    return WAV2SMALL_OK;
}

int wav2small_predict_f32(wav2small_net *net, const float *samples, size_t count, float outputs[WAV2SMALL_OUTPUTS])
{
    struct clip clip = { samples, NULL, 0, 0, count };
    if (!net || !samples || !outputs)
        return WAV2SMALL_NULL;
    if (!all_finite(samples, count))
        return WAV2SMALL_NOT_FINITE;
    return predict(net, &clip, outputs);
}

int wav2small_predict_s16(wav2small_net *net, const int16_t *samples, size_t count, float outputs[WAV2SMALL_OUTPUTS])
{
    struct clip clip = { NULL, samples, 0, count, count };
    return net && samples && outputs ? predict(net, &clip, outputs) : WAV2SMALL_NULL;
}

int wav2small_window_reset(wav2small_window *window)
{
    if (!window)
        return WAV2SMALL_NULL;
    window->ready = READY;
    window->next = window->count = 0;
    return WAV2SMALL_OK;
}

static void window_push(wav2small_window *window, int16_t sample)
{
    window->samples[window->next] = sample;
    window->next = window->next + 1 == WAV2SMALL_WINDOW_SAMPLES ? 0 : window->next + 1;
    window->count += window->count < WAV2SMALL_WINDOW_SAMPLES;
}

int wav2small_window_push_s16(wav2small_window *window, const int16_t *samples, size_t count)
{
    if (!window || (!samples && count))
        return WAV2SMALL_NULL;
    if (window->ready != READY)
        return WAV2SMALL_NOT_READY;
    for (size_t i = 0; i < count; i++)
        window_push(window, samples[i]);
    return WAV2SMALL_OK;
}

int wav2small_window_push_f32(wav2small_window *window, const float *samples, size_t count)
{
    if (!window || (!samples && count))
        return WAV2SMALL_NULL;
    if (window->ready != READY)
        return WAV2SMALL_NOT_READY;
    if (!all_finite(samples, count))
        return WAV2SMALL_NOT_FINITE;
    for (size_t i = 0; i < count; i++) {
        float step = samples[i] * 32768.0f;
        step = step < -32768.0f ? -32768.0f : step > 32767.0f ? 32767.0f : step;
        window_push(window, (int16_t)(step + (step < 0.0f ? -0.5f : 0.5f)));
    }
    return WAV2SMALL_OK;
}

int wav2small_window_predict(wav2small_window *window, float outputs[WAV2SMALL_OUTPUTS])
{
    if (!window || !outputs)
        return WAV2SMALL_NULL;
    if (window->ready != READY)
        return WAV2SMALL_NOT_READY;
    size_t start = window->count < WAV2SMALL_WINDOW_SAMPLES ? 0 : window->next;
    struct clip clip = { NULL, window->samples, start, WAV2SMALL_WINDOW_SAMPLES, window->count };
    return predict(&window->net, &clip, outputs);
}

int wav2small_running_reset(wav2small_running *running)
{
    if (!running)
        return WAV2SMALL_NULL;
    reset_net(&running->net);
    running->ready = READY;
    running->pending = running->hops = 0;
    running->mean = running->square = 0.0f;
    return WAV2SMALL_OK;
}

/* The level of the last seconds: an average over all hops so far, then one with an exponential memory. */
static struct level running_level(wav2small_running *running)
{
    const float *newest = running->samples + (running->hops ? WINDOW - HOP : 0);
    int count = running->hops ? HOP : WINDOW;
    float sum = sum_of(newest, (size_t)count, 0.0f, 1), squares = sum_of(newest, (size_t)count, 0.0f, 2);
    running->hops += running->hops < LEVEL_HOPS;
    float share = 1.0f / (float)running->hops;
    running->mean += (sum / (float)count - running->mean) * share;
    running->square += (squares / (float)count - running->square) * share;
    float variance = running->square - running->mean * running->mean;
    return level_of(running->mean, variance > 0.0f ? variance : 0.0f);
}

static void running_push(wav2small_running *running, float sample)
{
    running->samples[running->pending++] = sample;
    if (running->pending < WINDOW)
        return;
    float bands[BANDS];
    log_mel(running->samples, running_level(running), bands);
    next_row(&running->net, bands);
    for (int i = 0; i < WINDOW - HOP; i++)
        running->samples[i] = running->samples[i + HOP];
    running->pending = WINDOW - HOP;
}

int wav2small_running_push_f32(wav2small_running *running, const float *samples, size_t count)
{
    if (!running || (!samples && count))
        return WAV2SMALL_NULL;
    if (running->ready != READY)
        return WAV2SMALL_NOT_READY;
    if (!all_finite(samples, count))
        return WAV2SMALL_NOT_FINITE;
    for (size_t i = 0; i < count; i++)
        running_push(running, samples[i]);
    return WAV2SMALL_OK;
}

int wav2small_running_push_s16(wav2small_running *running, const int16_t *samples, size_t count)
{
    if (!running || (!samples && count))
        return WAV2SMALL_NULL;
    if (running->ready != READY)
        return WAV2SMALL_NOT_READY;
    for (size_t i = 0; i < count; i++)
        running_push(running, (float)samples[i] * (1.0f / 32768.0f));
    return WAV2SMALL_OK;
}

int wav2small_running_predict(const wav2small_running *running, float outputs[WAV2SMALL_OUTPUTS])
{
    if (!running || !outputs)
        return WAV2SMALL_NULL;
    if (running->ready != READY)
        return WAV2SMALL_NOT_READY;
    if (!running->net.steps)
        return WAV2SMALL_TOO_SHORT;
    conclude(&running->net, outputs);
    return WAV2SMALL_OK;
}
