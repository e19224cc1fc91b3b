/* The functions of libm that wav2small.c calls: instructions of WebAssembly, so that no library is linked. */
#define sqrtf __builtin_sqrtf
#define fabsf __builtin_fabsf
