/* A program of three processes: two square a number each, and send it to the first. */

#include <inttypes.h>
#include <stdio.h>

#include "lunatic.h"

/* A process of its own: whatever is exported can be spawned. */
LUNATIC_EXPORT("square")
void square(uint64_t parent, uint64_t number)
{
    uint64_t result = number * number;
    lunatic_create_data(0, sizeof result);
    lunatic_write_data(&result, sizeof result);
    lunatic_send(parent);
}

static void spawn_square(uint64_t number)
{
    static const char export[] = "square";
    struct lunatic_param params[] = {
        {LUNATIC_I64, lunatic_process_id(), 0},
        {LUNATIC_I64, number, 0},
    };
    uint64_t id;
    lunatic_spawn(0, LUNATIC_OWN, LUNATIC_OWN, export, sizeof export - 1, params, sizeof params,
                  &id);
}

int main(void)
{
    uint64_t sum = 0;
    spawn_square(3);
    spawn_square(4);
    for (int received = 0; received < 2; received++) {
        uint64_t square = 0;
        lunatic_receive(NULL, 0, LUNATIC_FOR_EVER);
        lunatic_read_data(&square, sizeof square);
        sum += square;
    }
    printf("two processes say %" PRIu64 "\n", sum);
    return 0;
}
