/* ---- Linear layers ----------------------------------------------------------------------------------------------
 *
 * Float: weights (inputs, outputs), outputs filled up to a multiple of 16: the loop over outputs vectorises.
 * 8 and 4 bits: codes (outputs, inputs), inputs filled up with zeros; a weight is code * scale of its output. The
 * input of a layer is rounded to 16 bits with one scale for the vector, which costs 1e-5 of its largest value and makes
 * the products integers: two an instruction on a Cortex-M4 (SMLAD), eight and more on larger machines. Biases have 16
 * bits and one scale for the layer, too.
 */

#define FILLED(count, multiple) (((count) + (multiple) - 1) / (multiple) * (multiple))

#if WAV2SMALL_BITS == 32

struct dense { int inputs, outputs; const float *weights, *bias; };
#define BIAS(layer, output) ((layer)->bias ? (layer)->bias[output] : 0.0f)
struct depthwise { int kernel, dilation, after, history; const float *weights; };

static void dense(const struct dense *layer, const float *restrict x, float *restrict y)
{
    int width = FILLED(layer->outputs, 16), i = 0;
    const float *restrict w = layer->weights;
    float sum[FILLED(LARGEST_OUTPUTS, 16)];
    for (int o = 0; o < width; o++)
        sum[o] = 0.0f;
    for (; i + 4 <= layer->inputs; i += 4, w += 4 * width)
        for (int o = 0; o < width; o++)
            sum[o] += (x[i] * w[o] + x[i + 1] * w[o + width]) + (x[i + 2] * w[o + 2 * width] + x[i + 3] * w[o + 3 * width]);
    for (; i < layer->inputs; i++, w += width)
        for (int o = 0; o < width; o++)
            sum[o] += x[i] * w[o];
    for (int o = 0; o < layer->outputs; o++)
        y[o] = sum[o] + BIAS(layer, o);
}

#else

struct dense { int inputs, outputs, bits; const void *codes; const float *scale; const int16_t *bias; float bias_scale; };
#define BIAS(layer, output) ((layer)->bias ? (float)(layer)->bias[output] * (layer)->bias_scale : 0.0f)
struct depthwise { int kernel, dilation, after, history; const int8_t *weights; const float *scale; };

/* A float and its bits: the bits of positive floats are in the order of the floats, and in 1.5 * 2^23 + x the lowest
 * bits are x, rounded. Both are loops that compilers vectorise. */
union bits { float value; int32_t bits; };

/* x (count) -> codes of 16 bits, zeros up to `filled`; returns the scale. `limit` keeps sums of products in 32 bits. */
static float to_16_bits(const float *restrict x, int count, int filled, int limit, int16_t *restrict codes)
{
    const union bits shift = { 12582912.0f };
    union bits peak = { 1e-30f };
    for (int i = 0; i < count; i++) {
        const union bits each = { x[i] };
        int32_t size = each.bits & 0x7fffffff;
        peak.bits = size > peak.bits ? size : peak.bits;
    }
    float factor = (float)limit / peak.value;
    for (int i = 0; i < count; i++) {
        const union bits rounded = { x[i] * factor + shift.value };
        codes[i] = (int16_t)(rounded.bits - shift.bits);
    }
    for (int i = count; i < filled; i++)
        codes[i] = 0;
    return peak.value / (float)limit;
}

#if defined(__ARM_FEATURE_DSP) && __ARM_FEATURE_DSP && !defined(__ARM_BIG_ENDIAN)

static inline uint32_t word(const void *from)
{
    uint32_t value;
    __builtin_memcpy(&value, from, sizeof value);
    return value;
}

/* Make x ready for the products with codes. 8 bits: SXTB16 takes every other code, so x has two of each four exchanged.
 * 4 bits: `dot_4` takes codes with 8 more, to be positive; returns what its sums have too much. */
static inline int32_t prepare(int16_t *x, int count, int bits)
{
    int32_t sum = 0;
    for (; count > 0; count -= 4, x += 4) {
        int16_t second = x[1];
        if (bits == 4) {
            sum += x[0] + x[1] + x[2] + x[3];
        } else {
            x[1] = x[2];
            x[2] = second;
        }
    }
    return 8 * sum;
}

static inline int32_t dot_4_of_8(const int8_t *w, const int16_t *x, int32_t sum)
{
    uint32_t four = word(w);
    sum = __smlad(__sxtb16((int8x4_t)four), (int16x2_t)word(x), sum);
    return __smlad(__sxtb16((int8x4_t)(four >> 8 | four << 24)), (int16x2_t)word(x + 2), sum);
}

/* Sum of code * x; count is a multiple of 16. */
static inline int32_t dot_8(const int8_t *w, const int16_t *x, int count)
{
    int32_t sum = 0;
    for (; count > 0; count -= 16, w += 16, x += 16) {
        sum = dot_4_of_8(w, x, sum);
        sum = dot_4_of_8(w + 4, x + 4, sum);
        sum = dot_4_of_8(w + 8, x + 8, sum);
        sum = dot_4_of_8(w + 12, x + 12, sum);
    }
    return sum;
}

/* Sum of (code + 8) * x for codes of 4 bits; count is a multiple of 32. */
static inline int32_t dot_4(const uint16_t *w, const int16_t *x, int count)
{
    int32_t sum = 0;
    for (; count > 0; count -= 32, w += 8, x += 32)
        for (int pair = 0; pair < 8; pair += 2) {
            uint32_t eight = word(w + pair) ^ 0x88888888u;
            sum = __smlad((int16x2_t)(eight & 0x000f000fu), (int16x2_t)word(x + pair), sum);
            sum = __smlad((int16x2_t)(eight >> 4 & 0x000f000fu), (int16x2_t)word(x + pair + 8), sum);
            sum = __smlad((int16x2_t)(eight >> 8 & 0x000f000fu), (int16x2_t)word(x + pair + 16), sum);
            sum = __smlad((int16x2_t)(eight >> 12 & 0x000f000fu), (int16x2_t)word(x + pair + 24), sum);
        }
    return sum;
}

#else

static inline int32_t prepare(int16_t *x, int count, int bits)
{
    (void)x, (void)count, (void)bits;
    return 0;
}

#if defined(__wasm_simd128__)

static inline int32_t total(v128_t sums)
{
    int32_t four[4];
    wasm_v128_store(four, sums);
    return (four[0] + four[1]) + (four[2] + four[3]);
}

/* Sum of code * x; count is a multiple of 16. */
static inline int32_t dot_8(const int8_t *w, const int16_t *x, int count)
{
    v128_t sums = wasm_i32x4_splat(0);
    for (; count > 0; count -= 8, w += 8, x += 8)
        sums = wasm_i32x4_add(sums, wasm_i32x4_dot_i16x8(wasm_i16x8_load8x8(w), wasm_v128_load(x)));
    return total(sums);
}

/* The same for codes of 4 bits; count is a multiple of 32. */
static inline int32_t dot_4(const uint16_t *w, const int16_t *x, int count)
{
    v128_t sums = wasm_i32x4_splat(0);
    for (; count > 0; count -= 32, w += 8)
        for (int high = 12; high >= 0; high -= 4, x += 8) {
            v128_t codes = wasm_i16x8_shr(wasm_i16x8_shl(wasm_v128_load(w), (uint32_t)high), 12);
            sums = wasm_i32x4_add(sums, wasm_i32x4_dot_i16x8(codes, wasm_v128_load(x)));
        }
    return total(sums);
}

#else

static inline int32_t dot_8(const int8_t *restrict w, const int16_t *restrict x, int count)
{
    int32_t sum = 0;
    for (int i = 0; i < count; i++)
        sum += (int16_t)w[i] * x[i];
    return sum;
}

/* Eight numbers of 16 bits hold 32 codes: number i has those of inputs i, i + 8, i + 16 and i + 24. */
static inline int32_t dot_4(const uint16_t *restrict w, const int16_t *restrict x, int count)
{
    int32_t sum = 0;
    for (; count > 0; count -= 32, w += 8, x += 32)
        for (int i = 0; i < 8; i++) {
            int16_t a = (int16_t)(w[i] << 12) >> 12, b = (int16_t)(w[i] << 8) >> 12;
            int16_t c = (int16_t)(w[i] << 4) >> 12, d = (int16_t)w[i] >> 12;
            sum += a * x[i] + b * x[i + 8] + (c * x[i + 16] + d * x[i + 24]);
        }
    return sum;
}

#endif
#endif

static void dense(const struct dense *layer, const float *restrict x, float *restrict y)
{
    int16_t codes[FILLED(LARGEST_INPUTS, 32)];
    int filled = FILLED(layer->inputs, layer->bits == 4 ? 32 : 16);
    int safe = 2147483647 / 127 / layer->inputs, limit = safe < 32767 ? safe : 32767;
    float scale = to_16_bits(x, layer->inputs, filled, limit, codes);
    int32_t excess = prepare(codes, filled, layer->bits);
    const int8_t *bytes = layer->codes;
    const uint16_t *nibbles = layer->codes;
    for (int o = 0; o < layer->outputs; o++) {
        int32_t sum = layer->bits == 4 ? dot_4(nibbles + o * (filled / 4), codes, filled) - excess
                                       : dot_8(bytes + o * filled, codes, filled);
        y[o] = (float)sum * (scale * layer->scale[o]) + BIAS(layer, o);
    }
}

#endif
