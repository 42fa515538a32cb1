/* A counter that can be reloaded, version 2: it also keeps the largest id that has asked,
 * and writes and reads the state of version 1 too. See reload_counter_v1.c. */

#include <stdlib.h>

#include "lunatic.h"

static const char kind[] = "c_counter";

struct state_v1 {
    uint64_t count;
};

static struct {
    uint64_t count;
    uint64_t largest;
} state;

/* Puts the state into scratch in the version that is asked for. */
static void write_state(int64_t version)
{
    if (version == 1) {
        struct state_v1 old = {.count = state.count};
        lunatic_create_data(0, sizeof old);
        lunatic_write_data(&old, sizeof old);
    } else {
        lunatic_create_data(0, sizeof state);
        lunatic_write_data(&state, sizeof state);
    }
}

static void safe_point(void)
{
    int64_t version;
    while ((version = lunatic_reload_arm()) != LUNATIC_RELOAD_NOT_WANTED) {
        uint64_t error;
        write_state(version);
        if (lunatic_reload_hand_over(version, &error) == 1)
            lunatic_error_drop(error);
    }
}

static void serve(void)
{
    lunatic_reload_offer(kind, sizeof kind - 1, 2);
    for (;;) {
        safe_point();
        if (lunatic_receive(NULL, 0, LUNATIC_FOR_EVER) != LUNATIC_DATA)
            continue;
        uint64_t asker, answer;
        if (lunatic_read_data(&asker, sizeof asker) != sizeof asker)
            continue;
        if (asker > state.largest)
            state.largest = asker;
        answer = ++state.count * 10 + 2;
        lunatic_create_data(1, sizeof answer);
        lunatic_write_data(&answer, sizeof answer);
        lunatic_send(asker);
    }
}

static void refuse(void)
{
    static const char too_short[] = "the state is too short";
    lunatic_reload_refuse(too_short, sizeof too_short - 1);
}

LUNATIC_EXPORT("_lunatic_reload_1_c_counter")
void enter_1(void)
{
    struct state_v1 old;
    if (lunatic_read_data(&old, sizeof old) != sizeof old)
        refuse();
    state.count = old.count;
    lunatic_reload_accept();
    serve();
}

LUNATIC_EXPORT("_lunatic_reload_2_c_counter")
void enter_2(void)
{
    if (lunatic_read_data(&state, sizeof state) != sizeof state)
        refuse();
    lunatic_reload_accept();
    serve();
}

int main(void)
{
    serve();
    return 0;
}
