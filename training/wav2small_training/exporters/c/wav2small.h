/* What the network remembers between two rows, zeros where nothing was heard yet. */
typedef struct {
    uint32_t seen[WAV2SMALL_CONVOLUTIONS], pooled, steps; /* rows that each convolution and the max pool heard, tokens */
    /* the last three rows before each convolution, with a band of zeros at both ends: (row, channel, band); loops on
     * vectors read, and drop, some values behind a row */
    float first[3 * (WAV2SMALL_BANDS + 2)];
    float high[(WAV2SMALL_POOL_AFTER - 1) * 3 * (WAV2SMALL_BANDS + 2) * WAV2SMALL_CHANNELS];
    float low[(WAV2SMALL_CONVOLUTIONS - WAV2SMALL_POOL_AFTER) * 3 * (WAV2SMALL_BANDS / 2 + 2) * WAV2SMALL_CHANNELS];
    float peak[WAV2SMALL_TOKEN];                                                    /* of the max pool over time */
    float largest[WAV2SMALL_TOKEN], weight[WAV2SMALL_TOKEN], sum[WAV2SMALL_TOKEN]; /* softmax over time */
} wav2small_net;
