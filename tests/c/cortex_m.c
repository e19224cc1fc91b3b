/* What a Cortex-M needs before newlib's `_start`: a table of vectors, and its floating point unit switched on. */
#include <stdint.h>

extern void _start(void);
extern uint32_t stack_top[];

static void reset(void)
{
    *(volatile uint32_t *)0xe000ed88 |= 0xfu << 20;
    __asm volatile("dsb\n isb");
    _start();
}

static void fault(void)
{
    for (;;)
        ;
}

__attribute__((section(".vectors"), used)) static const struct {
    uint32_t *stack;
    void (*handlers[15])(void);
} vectors = { stack_top, { reset, fault, fault, fault, fault, fault } };
