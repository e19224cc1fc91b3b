/* ---- The network: a row of bands -> a token of channels and bands -> pooled over time ---------------------------- */

#define LOW_BANDS (BANDS / 2) /* after the max pool */
#define TAPS (9 * CHANNELS)

/* Bands side by side, and outputs and vectors whose sums stay in registers together. The last vector of a row reads
 * values behind it, and what it computes from them is dropped. */
#if !defined(__GNUC__) || defined(__arm__)
typedef float lanes;
#define OUTPUTS_TOGETHER 2
#define VECTORS_TOGETHER 2
#elif defined(__AVX512F__)
typedef float lanes __attribute__((vector_size(64), aligned(4), may_alias));
#define OUTPUTS_TOGETHER 7
#define VECTORS_TOGETHER 2
#elif defined(__AVX__)
typedef float lanes __attribute__((vector_size(32), aligned(4), may_alias));
#define OUTPUTS_TOGETHER 3
#define VECTORS_TOGETHER 4
#else
typedef float lanes __attribute__((vector_size(16), aligned(4), may_alias));
#define OUTPUTS_TOGETHER 3
#define VECTORS_TOGETHER 4
#endif
#if defined(__GNUC__)
#define INLINED __attribute__((always_inline)) inline
#define UNROLLED _Pragma("GCC unroll 8")
#else
#define INLINED inline
#define UNROLLED
#endif
#define LANES ((int)(sizeof(lanes) / sizeof(float)))
#define VECTORS(bands) (((bands) + LANES - 1) / LANES)
#define GROUP (OUTPUTS_TOGETHER < CHANNELS ? OUTPUTS_TOGETHER : CHANNELS)

static inline float larger(float a, float b)
{
    return a > b ? a : b;
}

/* A weight is weights[output * OUTPUT_STEP + input * INPUT_STEP], times the scale of its output. */
#if WAV2SMALL_BITS == 32
#define OUTPUT_STEP 1
#define INPUT_STEP FILLED(CHANNELS, 16)
#define SCALE(layer, output) 1.0f
#else
#define OUTPUT_STEP FILLED(TAPS, 32)
#define INPUT_STEP 1
#define SCALE(layer, output) (layer)->scale[output]

/* The codes of one output as floats. Activations stay floats, too: the codes are read once for a row of bands. */
static void codes_of(const struct dense *layer, int output, float *restrict codes)
{
    if (layer->bits == 8) {
        const int8_t *bytes = (const int8_t *)layer->codes + output * FILLED(layer->inputs, 16);
        for (int i = 0; i < layer->inputs; i++)
            codes[i] = (float)bytes[i];
        return;
    }
    const uint16_t *words = (const uint16_t *)layer->codes + output * (FILLED(layer->inputs, 32) / 4);
    for (int i = 0; i < layer->inputs; i += 32, words += 8, codes += 32)
        for (int j = 0; j < 8; j++) {
            codes[j] = (float)((int16_t)(words[j] << 12) >> 12);
            codes[j + 8] = (float)((int16_t)(words[j] << 8) >> 12);
            codes[j + 16] = (float)((int16_t)(words[j] << 4) >> 12);
            codes[j + 24] = (float)((int16_t)words[j] >> 12);
        }
}
#endif

/* Convolution, 3 x 3, and ReLU, on rows (channel, band) that lie in a ring of three; see `convolve`. */
static INLINED int convolve_rows(float *rows, uint32_t seen, int bands, int channels, const struct dense *layer,
                                 float *restrict row)
{
    const int stride = bands + 2, size = stride * channels;
    const int together = VECTORS(bands) < VECTORS_TOGETHER ? VECTORS(bands) : VECTORS_TOGETHER;
    int newest = (int)(seen % 3);
    for (int c = 0; c < channels; c++)
        for (int i = 0; i < bands; i++)
            rows[newest * size + c * stride + 1 + i] = row[c * bands + i];
    if (!seen)
        return 0;
    for (int group = 0; group < CHANNELS; group += GROUP) {
        int first = group + GROUP > CHANNELS ? CHANNELS - GROUP : group; /* the last group may begin in the one before */
#if WAV2SMALL_BITS == 32
        const float *weights = layer->weights + first;
#else
        float weights[GROUP * OUTPUT_STEP];
        for (int o = 0; o < GROUP; o++)
            codes_of(layer, first + o, weights + o * OUTPUT_STEP);
#endif
        for (int at = 0; at < VECTORS(bands); at += together) {
            union { lanes vectors[VECTORS_TOGETHER]; float bands[VECTORS_TOGETHER * LANES]; } sums[GROUP];
            lanes sum[GROUP][VECTORS_TOGETHER];
            UNROLLED
            for (int o = 0; o < GROUP; o++)
                UNROLLED
                for (int v = 0; v < VECTORS_TOGETHER; v++)
                    sum[o][v] = (lanes){ 0 };
            for (int tap = 0; tap < 3; tap++) { /* the oldest row is the one to be written next */
                const float *past = rows + (newest + 1 + tap) % 3 * size + at * LANES;
                for (int c = 0; c < channels; c++)
                    for (int k = 0; k < 3; k++)
                        UNROLLED
                        for (int o = 0; o < GROUP; o++)
                            UNROLLED
                            for (int v = 0; v < together; v++)
                                sum[o][v] += *(const lanes *)(past + c * stride + k + v * LANES)
                                             * weights[o * OUTPUT_STEP + (9 * c + 3 * k + tap) * INPUT_STEP];
            }
            int count = bands - at * LANES < together * LANES ? bands - at * LANES : together * LANES;
            UNROLLED
            for (int o = 0; o < GROUP; o++) {
                float scale = SCALE(layer, first + o), bias = BIAS(layer, first + o);
                UNROLLED
                for (int v = 0; v < together; v++)
                    sums[o].vectors[v] = sum[o][v];
                for (int i = 0; i < count; i++)
                    row[(first + o) * bands + at * LANES + i] = larger(sums[o].bands[i] * scale + bias, 0.0f);
            }
        }
    }
    return 1;
}

/* Give a convolution the next row, or zeros after the end; true where `row` then holds the row that it puts out. The
 * three calls have constant sizes, so that compilers make a fast loop of each. */
static int convolve(wav2small_net *net, int convolution, float *restrict row)
{
    const struct dense *layer = &CONVOLUTION[convolution];
    uint32_t seen = net->seen[convolution]++;
    if (convolution == 0)
        return convolve_rows(net->first, seen, BANDS, 1, layer, row);
    if (convolution < POOL_AFTER)
        return convolve_rows(net->high + (convolution - 1) * 3 * (BANDS + 2) * CHANNELS, seen, BANDS, CHANNELS, layer, row);
    return convolve_rows(net->low + (convolution - POOL_AFTER) * 3 * (LOW_BANDS + 2) * CHANNELS, seen, LOW_BANDS, CHANNELS,
                         layer, row);
}

/* Max pool, 3 x 3, stride 2: true where `row` then holds a pooled row. Nothing is below 0, so padding is 0. */
static int max_pool(wav2small_net *net, float *restrict row)
{
    int done = (int)(net->pooled++ & 1u);
    for (int i = 0; i < TOKEN; i++) { /* channel and low band; row[i] is written after its last use */
        const float *at = row + i / LOW_BANDS * BANDS + i % LOW_BANDS * 2;
        float most = larger(larger(i % LOW_BANDS ? at[-1] : 0.0f, at[0]), at[1]), so_far = larger(net->peak[i], most);
        net->peak[i] = done ? most : so_far; /* an odd row ends one stretch and begins the next */
        row[i] = so_far;
    }
    return done;
}

/* Softmax over time of what a token scores, so far: what was summed is scaled down when a larger score comes. */
static void pool(wav2small_net *net, const float *restrict token)
{
    float scores[TOKEN], values[TOKEN];
    dense(SOF, token, scores);
    dense(LIN, token, values);
    if (!net->steps++)
        for (int i = 0; i < TOKEN; i++)
            net->largest[i] = scores[i];
    for (int i = 0; i < TOKEN; i++) {
        float most = larger(net->largest[i], scores[i]);
        float shrink = exponential(net->largest[i] - most), weight = exponential(scores[i] - most);
        net->largest[i] = most;
        net->weight[i] = net->weight[i] * shrink + weight;
        net->sum[i] = net->sum[i] * shrink + weight * values[i];
    }
}

static void rows_from(wav2small_net *net, int first, float *row)
{
    for (int convolution = first; convolution < CONVOLUTIONS; convolution++) {
        if (!convolve(net, convolution, row))
            return;
        if (convolution + 1 == POOL_AFTER && !max_pool(net, row))
            return;
    }
    pool(net, row);
}

/* Give the network a row of bands. */
static void next_row(wav2small_net *net, const float *bands)
{
    float row[BANDS * CHANNELS];
    for (int i = 0; i < BANDS; i++)
        row[i] = bands[i];
    rows_from(net, 0, row);
}

/* The end of a clip: each convolution hears a row of zeros after it. */
static void finish(wav2small_net *net)
{
    float row[BANDS * CHANNELS];
    for (int convolution = 0; convolution < CONVOLUTIONS; convolution++) {
        if (convolution == POOL_AFTER && net->pooled & 1u) {
            for (int i = 0; i < TOKEN; i++)
                row[i] = net->peak[i];
            rows_from(net, convolution, row);
        }
        for (int i = 0; i < BANDS * CHANNELS; i++)
            row[i] = 0.0f;
        if (convolve(net, convolution, row) && (convolution + 1 != POOL_AFTER || max_pool(net, row)))
            rows_from(net, convolution + 1, row);
    }
}

/* What the tokens so far say; there must be one. */
static void conclude(const wav2small_net *net, float outputs[WAV2SMALL_OUTPUTS])
{
    float pooled[TOKEN];
    for (int i = 0; i < TOKEN; i++)
        pooled[i] = net->sum[i] / net->weight[i];
    dense(CLASSIFIER, pooled, outputs);
}
