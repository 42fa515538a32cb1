/* Waits for a message, three calls deep.
 *
 * lunatic-cli/tests/calls.rs looks at its calls, and at those of the same in Rust
 * (guests/demo/src/bin/calls.rs) and AssemblyScript. */

#include <stddef.h>
#include <stdint.h>

#include "lunatic.h"

/* What comes after each call keeps the compiler from making a jump of it. */
static volatile int returned;

__attribute__((noinline)) static void waits_here(void)
{
    lunatic_receive(NULL, 0, UINT64_MAX);
    returned = 1;
}

__attribute__((noinline)) static void between(void)
{
    waits_here();
    returned = 2;
}

__attribute__((noinline)) static void outermost(void)
{
    between();
    returned = 3;
}

int main(void)
{
    outermost();
    return 0;
}
