/* What the network remembers between two steps, zeros where nothing was heard yet. */
typedef struct {
    uint32_t frames, seen[WAV2SMALL_BLOCKS], steps; /* rows heard, steps that each block heard, steps pooled */
#if WAV2SMALL_MAPS
    uint32_t mapped[WAV2SMALL_MAPS]; /* rows that each convolution over bands and time heard */
    float maps[WAV2SMALL_MAP_VALUES]; /* a ring of three rows before each */
#endif
    float stem[WAV2SMALL_STEM_KERNEL * WAV2SMALL_STEM_INPUTS]; /* ring of rows before the convolution over time */
    float history[WAV2SMALL_HISTORY_ROWS * WAV2SMALL_WIDTH]; /* a ring of steps before each block */
    float largest[WAV2SMALL_HEADS], weight[WAV2SMALL_HEADS], attended[WAV2SMALL_HEADS * WAV2SMALL_WIDTH]; /* softmax */
    float mean[WAV2SMALL_WIDTH], squares[WAV2SMALL_WIDTH], speech; /* moments over time */
} wav2small_net;
