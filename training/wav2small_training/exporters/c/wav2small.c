/* ---- The network: a row of bands -> a token of channels and bands -> pooled over time ---------------------------- */

#define LOW_BANDS (BANDS / 2) /* after the max pool */
#define TAPS (9 * CHANNELS)

/* Bands side by side: the last vector of a row reads values behind it, and what it computes from them is dropped. */
#if defined(__GNUC__) && !defined(__arm__)
typedef float lanes __attribute__((vector_size(32), aligned(4), may_alias));
#else
typedef float lanes;
#endif
#define LANES ((int)(sizeof(lanes) / sizeof(float)))
#define VECTORS(bands) (((bands) + LANES - 1) / LANES)

static inline float larger(float a, float b)
{
    return a > b ? a : b;
}

/* The weights of one output as floats. Activations stay floats, too: the weights are read once for a row of bands. */
static void weights_of(const struct dense *layer, int output, float *restrict weights)
{
#if WAV2SMALL_BITS == 32
    for (int i = 0; i < layer->inputs; i++)
        weights[i] = layer->weights[i * FILLED(layer->outputs, 16) + output];
#else
    const int8_t *bytes = (const int8_t *)layer->codes + output * FILLED(layer->inputs, 16);
    const uint16_t *words = (const uint16_t *)layer->codes + output * (FILLED(layer->inputs, 32) / 4);
    for (int i = 0; i < layer->inputs; i++) {
        int code = layer->bits == 8 ? bytes[i] : ((words[i / 32 * 8 + i % 8] >> i % 32 / 8 * 4 & 15) ^ 8) - 8;
        weights[i] = (float)code * layer->scale[output];
    }
#endif
}

/* Convolution, 3 x 3, and ReLU, on rows (channel, band) that lie in a ring of three; see `convolve`. */
static inline int convolve_rows(float *rows, uint32_t seen, int bands, int channels, const struct dense *layer,
                                float *restrict row)
{
    int stride = bands + 2, size = stride * channels, newest = (int)(seen % 3);
    for (int c = 0; c < channels; c++)
        for (int i = 0; i < bands; i++)
            rows[newest * size + c * stride + 1 + i] = row[c * bands + i];
    if (!seen)
        return 0;
    float weights[2][TAPS];
    for (int pair = 0; pair < CHANNELS; pair += 2) {
        int o = pair + 2 > CHANNELS ? CHANNELS - 2 : pair; /* the last output of an odd number comes with the one before */
        weights_of(layer, o, weights[0]);
        weights_of(layer, o + 1, weights[1]);
        union { lanes vectors[VECTORS(BANDS)]; float bands[VECTORS(BANDS) * LANES]; } first, second;
        for (int i = 0; i < VECTORS(bands); i++) {
            lanes a = { 0 }, b = { 0 };
            for (int c = 0; c < channels; c++)
                for (int tap = 0; tap < 3; tap++) { /* the oldest row is the one to be written next */
                    const float *x = rows + (newest + 1 + tap) % 3 * size + c * stride + i * LANES;
                    const float *v = weights[0] + 9 * c + tap, *w = weights[1] + 9 * c + tap;
                    const lanes left = *(const lanes *)x, middle = *(const lanes *)(x + 1), right = *(const lanes *)(x + 2);
                    a += left * v[0] + middle * v[3] + right * v[6];
                    b += left * w[0] + middle * w[3] + right * w[6];
                }
            first.vectors[i] = a;
            second.vectors[i] = b;
        }
        for (int i = 0; i < bands; i++) {
            row[o * bands + i] = larger(first.bands[i] + layer->bias[o], 0.0f);
            row[(o + 1) * bands + i] = larger(second.bands[i] + layer->bias[o + 1], 0.0f);
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
