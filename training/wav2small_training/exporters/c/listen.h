/* Seconds in the ring of a `wav2small_window`; 2 bytes a sample. */
#ifndef WAV2SMALL_WINDOW_SECONDS
#define WAV2SMALL_WINDOW_SECONDS 5
#endif
#define WAV2SMALL_WINDOW_SAMPLES ((size_t)WAV2SMALL_WINDOW_SECONDS * WAV2SMALL_SAMPLING_RATE)

/* What every function returns. After an error nothing has changed and no output was written. */
enum {
    WAV2SMALL_OK = 0,
    WAV2SMALL_NULL = -1,       /* a pointer is NULL */
    WAV2SMALL_NOT_READY = -2,  /* `reset` was not called (zeroed memory, such as static objects, is seen as such) */
    WAV2SMALL_NOT_FINITE = -3, /* a sample is NaN, infinite, or beyond +-1e15 */
    WAV2SMALL_TOO_SHORT = -4   /* fewer samples than the network needs; push more, then ask again */
};

/* Places in `outputs`. */
enum { WAV2SMALL_AROUSAL, WAV2SMALL_DOMINANCE, WAV2SMALL_VALENCE, @OUTPUTS@WAV2SMALL_OUTPUTS };

/* A ring of the last seconds. */
typedef struct {
    uint32_t ready;
    size_t next, count;
    wav2small_net net; /* used while predicting alone */
    int16_t samples[WAV2SMALL_WINDOW_SAMPLES];
} wav2small_window;

/* A stream without a ring. */
typedef struct {
    uint32_t ready;
    int pending, hops;
    float mean, square; /* level of the last seconds */
    wav2small_net net;
    float samples[WAV2SMALL_FRAME]; /* the frame that is being filled */
} wav2small_running;

#ifdef __cplusplus
extern "C" {
#endif

/* One clip, which lies in memory: `count` samples at WAV2SMALL_SAMPLING_RATE Hz, at least WAV2SMALL_FRAME of them.
 * `net` is memory to work in. The same function as the checkpoint's. */
int wav2small_predict_f32(wav2small_net *net, const float *samples, size_t count, float outputs[WAV2SMALL_OUTPUTS]);
int wav2small_predict_s16(wav2small_net *net, const int16_t *samples, size_t count, float outputs[WAV2SMALL_OUTPUTS]);

/* The last WAV2SMALL_WINDOW_SECONDS, or what was pushed if that is less: the same function as the checkpoint's, of the
 * samples in 16 bits. Pushing costs nothing; a prediction costs a whole window. */
int wav2small_window_reset(wav2small_window *window);
int wav2small_window_push_f32(wav2small_window *window, const float *samples, size_t count);
int wav2small_window_push_s16(wav2small_window *window, const int16_t *samples, size_t count);
int wav2small_window_predict(wav2small_window *window, float outputs[WAV2SMALL_OUTPUTS]);

/* Everything since `reset`: samples go through the network as they come, a prediction costs one step. */
int wav2small_running_reset(wav2small_running *running);
int wav2small_running_push_f32(wav2small_running *running, const float *samples, size_t count);
int wav2small_running_push_s16(wav2small_running *running, const int16_t *samples, size_t count);
int wav2small_running_predict(const wav2small_running *running, float outputs[WAV2SMALL_OUTPUTS]);

#ifdef __cplusplus
}
#endif

#endif
