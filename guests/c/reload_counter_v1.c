/* A counter that can be reloaded, version 1: its state is one number.
 *
 * A message is the id of a process, to which it sends ten times the count and the digit 1.
 * lunatic-cli/tests/reload_guests.rs reloads it as version 2, reload_counter_v2.c. */

#include <stdlib.h>

#include "lunatic.h"

static const char kind[] = "c_counter";

/* All that crosses to another version. */
static struct {
    uint64_t count;
} state;

/* The safe point: hands over if another version wants that. When it returns, the next
 * wait ends early should one want that meanwhile. */
static void safe_point(void)
{
    int64_t version;
    while ((version = lunatic_reload_arm()) != LUNATIC_RELOAD_NOT_WANTED) {
        uint64_t error;
        lunatic_create_data(0, sizeof state);
        lunatic_write_data(&state, sizeof state);
        /* Only returns if nobody has taken over. */
        if (lunatic_reload_hand_over(version, &error) == 1)
            lunatic_error_drop(error);
    }
}

static void serve(void)
{
    lunatic_reload_offer(kind, sizeof kind - 1, 1);
    for (;;) {
        safe_point();
        /* LUNATIC_TIMED_OUT: the wait has ended early. */
        if (lunatic_receive(NULL, 0, LUNATIC_FOR_EVER) != LUNATIC_DATA)
            continue;
        uint64_t asker, answer;
        if (lunatic_read_data(&asker, sizeof asker) != sizeof asker)
            continue;
        answer = ++state.count * 10 + 1;
        lunatic_create_data(1, sizeof answer);
        lunatic_write_data(&answer, sizeof answer);
        lunatic_send(asker);
    }
}

/* Takes over a process of this kind whose state is of version 1. */
LUNATIC_EXPORT("_lunatic_reload_1_c_counter")
void enter_1(void)
{
    static const char too_short[] = "the state is too short";
    if (lunatic_read_data(&state, sizeof state) != sizeof state)
        lunatic_reload_refuse(too_short, sizeof too_short - 1);
    lunatic_reload_accept();
    serve();
}

int main(void)
{
    serve();
    return 0;
}
