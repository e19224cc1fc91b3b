/* ---- The network: a row of bands -> features of a step -> pooled over time --------------------------------------- */

static inline float activate(float x)
{
#if defined(HARDSWISH)
    float gate = x + 3.0f;
    gate = gate < 0.0f ? 0.0f : gate;
    gate = gate > 6.0f ? 6.0f : gate;
    return x * gate * (1.0f / 6.0f);
#elif defined(RELU)
    return x > 0.0f ? x : 0.0f;
#else
    return 0.5f * x * (1.0f + erff(x * 0.70710678f));
#endif
}

static void activate_all(float *x, int count)
{
    for (int i = 0; i < count; i++)
        x[i] = activate(x[i]);
}

/* Softmax over time and moments, both so far: what was summed is scaled down when a larger score comes. */
static void pool(wav2small_net *net, const float *restrict x)
{
    float scores[HEADS], features[WIDTH], speech = SPEECH_BIAS;
    for (int c = 0; c < WIDTH; c++) {
        features[c] = x[c] * LAST_SCALE[c] + LAST_SHIFT[c];
        speech += features[c] * SPEECH_WEIGHTS[c];
    }
    dense(ATTENTION, features, scores);
    float share = 1.0f / (float)++net->steps;
    net->speech += (1.0f / (1.0f + exponential(-speech)) - net->speech) * share;
    for (int c = 0; c < WIDTH; c++) { /* Welford's moments */
        float before = features[c] - net->mean[c];
        net->mean[c] += before * share;
        net->squares[c] += before * (features[c] - net->mean[c]);
    }
    for (int h = 0; h < HEADS; h++) {
        float *attended = net->attended + h * WIDTH;
        if (net->steps == 1 || scores[h] > net->largest[h]) {
            float shrink = net->steps == 1 ? 0.0f : exponential(net->largest[h] - scores[h]);
            net->largest[h] = scores[h];
            net->weight[h] *= shrink;
            for (int c = 0; c < WIDTH; c++)
                attended[c] *= shrink;
        }
        float weight = exponential(scores[h] - net->largest[h]);
        net->weight[h] += weight;
        for (int c = 0; c < WIDTH; c++)
            attended[c] += weight * features[c];
    }
}

/* Give a block the next step, or a step of zeros after the end; true where `x` then holds a step that it puts out. */
static int block(wav2small_net *net, int b, float *restrict x)
{
    const struct depthwise *conv = &DEPTHWISE[b];
    int rows = (conv->kernel - 1) * conv->dilation + 1, newest = (int)(net->seen[b] % (uint32_t)rows);
    float *history = net->history + conv->history * WIDTH, *row = history + newest * WIDTH;
    for (int c = 0; c < WIDTH; c++)
        row[c] = x[c];
    if (net->seen[b]++ < (uint32_t)conv->after)
        return 0;
    float y[WIDTH], inner[INNER];
    for (int c = 0; c < WIDTH; c++)
        y[c] = 0.0f;
    for (int tap = 0; tap < conv->kernel; tap++) {
        int age = (conv->kernel - 1 - tap) * conv->dilation;
        const float *past = history + (newest - age + (newest < age ? rows : 0)) * WIDTH;
        for (int c = 0; c < WIDTH; c++)
            y[c] += past[c] * (float)conv->weights[tap * WIDTH + c];
    }
#if WAV2SMALL_BITS != 32
    for (int c = 0; c < WIDTH; c++)
        y[c] *= conv->scale[c];
#endif
    dense(&EXPAND[b], y, inner);
    activate_all(inner, INNER);
    dense(&PROJECT[b], inner, y);
    const float *now = history + (newest - conv->after + (newest < conv->after ? rows : 0)) * WIDTH;
    for (int c = 0; c < WIDTH; c++)
        x[c] = now[c] + y[c];
    return 1;
}

static void blocks_from(wav2small_net *net, int first, float *x)
{
    for (int b = first; b < BLOCKS; b++)
        if (!block(net, b, x))
            return;
    pool(net, x);
}

/* Give the convolution over time a row of bands, or of maps, or of zeros after the end. */
static void stem(wav2small_net *net, const float *inputs)
{
    uint32_t frame = net->frames++;
    float *row = net->stem + frame % STEM_KERNEL * STEM_INPUTS;
    for (int i = 0; i < STEM_INPUTS; i++)
        row[i] = inputs[i];
    if (frame + 1 <= STEM_AFTER || (frame - STEM_AFTER) % STEM_STRIDE)
        return;
    float heard[STEM_KERNEL * GROUP_INPUTS], x[WIDTH];
    for (int group = 0; group < STEM_GROUPS; group++) {
        for (int tap = 0; tap < STEM_KERNEL; tap++) { /* the oldest row is the one to be written next */
            const float *past = net->stem + (frame + 1 + (uint32_t)tap) % STEM_KERNEL * STEM_INPUTS + group * GROUP_INPUTS;
            for (int i = 0; i < GROUP_INPUTS; i++)
                heard[tap * GROUP_INPUTS + i] = past[i];
        }
        dense(&STEM[group], heard, x + group * (WIDTH / STEM_GROUPS));
    }
    activate_all(x, WIDTH);
    blocks_from(net, 0, x);
}

#if MAPS

/* Give a convolution over bands and time the next row, the channels of a band side by side, or a row of zeros after the
 * end; true where `x` then holds a row that it puts out, of half as many bands. */
static int map(wav2small_net *net, int m, float *restrict x)
{
    const struct map *conv = &MAP[m];
    int channels = conv->channels, size = conv->bands * channels, outputs = MAP_LAYER[m].outputs;
    float *history = net->maps + conv->history, patch[9 * LARGEST_CHANNELS];
    uint32_t frame = net->mapped[m]++;
    for (int i = 0; i < size; i++)
        history[(int)(frame % 3) * size + i] = x[i];
    if (frame < (uint32_t)conv->after || (frame - (uint32_t)conv->after) % (uint32_t)conv->stride)
        return 0;
    for (int band = 0; 2 * band < conv->bands; band++) {
        float *to = patch, *y = x + band * outputs;
        for (uint32_t tap = 0; tap < 3; tap++) /* the oldest row is the one to be written next */
            for (int from = 2 * band - 1; from <= 2 * band + 1; from++) {
                const float *past = history + (int)((frame + 1 + tap) % 3) * size + from * channels;
                for (int c = 0; c < channels; c++)
                    *to++ = from < 0 || from >= conv->bands ? 0.0f : past[c];
            }
        dense(&MAP_LAYER[m], patch, y);
        for (int c = 0; c < outputs; c++)
            y[c] = y[c] > 0.0f ? y[c] : 0.0f;
    }
    return 1;
}

static void maps_from(wav2small_net *net, int first, float *x)
{
    for (int m = first; m < MAPS; m++)
        if (!map(net, m, x))
            return;
    stem(net, x);
}

#endif

/* Give the network a row of bands. */
static void next_row(wav2small_net *net, const float *bands)
{
#if MAPS
    float x[LARGEST_ROW];
    for (int i = 0; i < BANDS; i++)
        x[i] = bands[i];
    maps_from(net, 0, x);
#else
    stem(net, bands);
#endif
}

/* The end of a clip: each convolution hears zeros after it. */
static void finish(wav2small_net *net)
{
#if MAPS
    for (int m = 0; m < MAPS; m++)
        for (int i = 0; i < MAP[m].after; i++) {
            float x[LARGEST_ROW] = { 0 };
            if (map(net, m, x))
                maps_from(net, m + 1, x);
        }
#endif
    const float silent[STEM_INPUTS] = { 0 };
    for (int i = 0; i < STEM_AFTER; i++)
        stem(net, silent);
    for (int b = 0; b < BLOCKS; b++)
        for (int i = 0; i < DEPTHWISE[b].after; i++) {
            float x[WIDTH] = { 0 };
            if (block(net, b, x))
                blocks_from(net, b + 1, x);
        }
}

/* What the steps so far say; there must be one. */
static void conclude(const wav2small_net *net, float outputs[WAV2SMALL_OUTPUTS])
{
    float pooled[(HEADS + 1) * WIDTH];
    for (int h = 0; h < HEADS; h++)
        for (int c = 0; c < WIDTH; c++)
            pooled[h * WIDTH + c] = net->attended[h * WIDTH + c] / net->weight[h];
    for (int c = 0; c < WIDTH; c++) {
        float variance = net->squares[c] / (float)net->steps;
        pooled[HEADS * WIDTH + c] = sqrtf(variance > DEVIATION_FLOOR ? variance : DEVIATION_FLOOR);
    }
    dense(CLASSIFIER, pooled, outputs);
    outputs[WAV2SMALL_SPEECH] = net->speech;
}
