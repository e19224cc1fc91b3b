/* ---- Front end: samples -> a row of log-mel bands -------------------------------------------------------------- */

#define HALF (N_FFT / 2) /* points of the complex FFT that does the work of the real one */

/* ln(x) for a positive, normal x, to 1e-7 (after Cephes' logf); without a branch, so that compilers vectorise it. */
static inline float natural_log(float x)
{
    union { float value; uint32_t bits; } number;
    number.value = x;
    int32_t exponent = (int32_t)(number.bits >> 23) - 126;
    number.bits = (number.bits & 0x007fffffu) | 0x3f000000u; /* 0.5 <= value < 1 */
    float mantissa = number.value;
    int32_t low = mantissa < 0.70710678f;
    exponent -= low;
    mantissa += (low ? mantissa : 0.0f) - 1.0f;
    float square = mantissa * mantissa, e = (float)exponent;
    float y = 7.0376836292e-2f;
    y = y * mantissa - 1.1514610310e-1f;
    y = y * mantissa + 1.1676998740e-1f;
    y = y * mantissa - 1.2420140846e-1f;
    y = y * mantissa + 1.4249322787e-1f;
    y = y * mantissa - 1.6668057665e-1f;
    y = y * mantissa + 2.0000714765e-1f;
    y = y * mantissa - 2.4999993993e-1f;
    y = y * mantissa + 3.3333331174e-1f;
    y = y * mantissa * square;
    y += e * -2.12194440e-4f - 0.5f * square;
    return mantissa + y + e * 0.693359375f;
}

/* e^x to 1e-7 (after Cephes' expf); x is limited to -87..88. */
static inline float exponential(float x)
{
    union { float value; int32_t bits; } power;
    x = x < -87.0f ? -87.0f : x;
    x = x > 88.0f ? 88.0f : x;
    float turns = x * 1.44269504f;
    int32_t n = (int32_t)(turns + (turns < 0.0f ? -0.5f : 0.5f));
    x -= (float)n * 0.693359375f;
    x -= (float)n * -2.12194440e-4f;
    float y = 1.9875691500e-4f;
    y = y * x + 1.3981999507e-3f;
    y = y * x + 8.3334519073e-3f;
    y = y * x + 4.1665795894e-2f;
    y = y * x + 1.6666665459e-1f;
    y = y * x + 5.0000001201e-1f;
    y = y * x * x + x + 1.0f;
    power.bits = (n + 127) << 23;
    return y * power.value;
}

/* One stage of a Stockham FFT, radix 4: (re, im) -> (out_re, out_im); `stride` sequences of length HALF / stride. */
static inline void fft_radix_4(int stride, const float *restrict re, const float *restrict im, float *restrict out_re,
                        float *restrict out_im)
{
    int quarter = HALF / stride / 4;
    for (int p = 0; p < quarter; p++) {
        int turn = 2 * p * stride;
        float c1 = COSINE(turn), s1 = SINE(turn), c2 = COSINE(2 * turn), s2 = SINE(2 * turn);
        float c3 = c1 * c2 - s1 * s2, s3 = c1 * s2 + s1 * c2;
        const float *ar = re + stride * p, *ai = im + stride * p;
        const float *br = ar + stride * quarter, *bi = ai + stride * quarter;
        const float *cr = br + stride * quarter, *ci = bi + stride * quarter;
        const float *dr = cr + stride * quarter, *di = ci + stride * quarter;
        float *yr = out_re + 4 * stride * p, *yi = out_im + 4 * stride * p;
        for (int q = 0; q < stride; q++) {
            float sum_r = ar[q] + cr[q], sum_i = ai[q] + ci[q], diff_r = ar[q] - cr[q], diff_i = ai[q] - ci[q];
            float odd_r = br[q] + dr[q], odd_i = bi[q] + di[q], turn_r = br[q] - dr[q], turn_i = bi[q] - di[q];
            float r1 = diff_r + turn_i, i1 = diff_i - turn_r, r2 = sum_r - odd_r, i2 = sum_i - odd_i;
            float r3 = diff_r - turn_i, i3 = diff_i + turn_r;
            yr[q] = sum_r + odd_r;
            yi[q] = sum_i + odd_i;
            yr[q + stride] = r1 * c1 + i1 * s1;
            yi[q + stride] = i1 * c1 - r1 * s1;
            yr[q + 2 * stride] = r2 * c2 + i2 * s2;
            yi[q + 2 * stride] = i2 * c2 - r2 * s2;
            yr[q + 3 * stride] = r3 * c3 + i3 * s3;
            yi[q + 3 * stride] = i3 * c3 - r3 * s3;
        }
    }
}

/* The last stage, radix 2, where HALF is no power of 4. */
static inline void fft_radix_2(const float *restrict re, const float *restrict im, float *restrict out_re,
                               float *restrict out_im)
{
    for (int q = 0; q < HALF / 2; q++) {
        out_re[q] = re[q] + re[q + HALF / 2], out_im[q] = im[q] + im[q + HALF / 2];
        out_re[q + HALF / 2] = re[q] - re[q + HALF / 2], out_im[q + HALF / 2] = im[q] - im[q + HALF / 2];
    }
}

/* A stage whose stride is a constant, so that its loops have constant lengths. */
#define STAGE(stride)                                                \
    if (HALF / (stride) >= 2) {                                      \
        if (HALF / (stride) >= 4)                                    \
            fft_radix_4(stride, re, im, next_re, next_im);           \
        else                                                         \
            fft_radix_2(re, im, next_re, next_im);                   \
        swap = re, re = next_re, next_re = swap;                     \
        swap = im, im = next_im, next_im = swap;                     \
    }

/* The power spectrum of a windowed frame, its even samples in work[0] and its odd ones in work[1]; returns where the
 * HALF + 1 bins lie in `work`. */
static float *power_spectrum(float work[4][HALF + 1])
{
    float *re = work[0], *im = work[1], *next_re = work[2], *next_im = work[3], *swap;
    STAGE(1)
    STAGE(4)
    STAGE(16)
    STAGE(64)
    STAGE(256)
    STAGE(1024)
    float *power = next_re;
    power[0] = (re[0] + im[0]) * (re[0] + im[0]);
    power[HALF] = (re[0] - im[0]) * (re[0] - im[0]);
    for (int k = 1; k < HALF; k++) { /* even samples' spectrum + a turn * odd samples' spectrum */
        float a = re[k] + re[HALF - k], b = im[k] - im[HALF - k], c = re[k] - re[HALF - k], d = im[k] + im[HALF - k];
        float real = a + COSINE(k) * d - SINE(k) * c, imaginary = b - COSINE(k) * c - SINE(k) * d;
        power[k] = 0.25f * (real * real + imaginary * imaginary);
    }
    return power;
}

/* Mean and gain of a clip or a stream: a sample is heard as (sample - mean) * gain. */
struct level { float mean, gain; };

static struct level level_of(float mean, float variance)
{
    struct level level = { mean, 1.0f / sqrtf(variance + VARIANCE_FLOOR) };
    return level;
}

/* WINDOW samples -> BANDS values. */
static void log_mel(const float *restrict samples, struct level level, float *restrict bands)
{
    float work[4][HALF + 1];
    for (int i = 0; i < WINDOW / 2; i++) { /* the Hann window is the same from both ends; its first value is 0 */
        int even = 2 * i <= WINDOW / 2 ? 2 * i : WINDOW - 2 * i, odd = 2 * i < WINDOW / 2 ? 2 * i + 1 : WINDOW - 2 * i - 1;
        work[0][i] = (samples[2 * i] - level.mean) * level.gain * HANN[even];
        work[1][i] = (samples[2 * i + 1] - level.mean) * level.gain * HANN[odd];
    }
    for (int i = WINDOW / 2; i < HALF; i++)
        work[0][i] = work[1][i] = 0.0f;
    const float *power = power_spectrum(work), *weight = MEL_WEIGHTS;
    for (int band = 0; band < BANDS; band++) {
        float sum = 0.0f;
        for (int i = 0; i < MEL_SIZE[band]; i++)
            sum += power[MEL_START[band] + i] * *weight++;
        bands[band] = sum > POWER_FLOOR ? sum : POWER_FLOOR;
    }
    for (int band = 0; band < BANDS; band++)
        bands[band] = natural_log(bands[band]) * BAND_SCALE[band] + BAND_SHIFT[band];
}
