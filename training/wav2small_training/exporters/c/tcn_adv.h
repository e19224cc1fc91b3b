/* What the network remembers between two steps, zeros where nothing was heard yet. */
typedef struct {
    uint32_t frames, seen[WAV2SMALL_BLOCKS], steps; /* rows heard, steps that each block heard, steps pooled */
    float stem[WAV2SMALL_STEM_KERNEL * WAV2SMALL_BANDS];      /* ring of rows before the first convolution */
    float history[WAV2SMALL_HISTORY_ROWS * WAV2SMALL_WIDTH]; /* a ring of steps before each block */
    float largest[WAV2SMALL_HEADS], weight[WAV2SMALL_HEADS], attended[WAV2SMALL_HEADS * WAV2SMALL_WIDTH]; /* softmax */
    float mean[WAV2SMALL_WIDTH], squares[WAV2SMALL_WIDTH], speech; /* moments over time */
} wav2small_net;
