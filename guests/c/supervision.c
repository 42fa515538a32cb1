/* Lets a child fail in a nested tree of supervisors.
 *
 * lunatic-cli/tests/supervision.rs runs it, and the same in WAT and Rust
 * (guests/supervision), and gives it the id of a process to report to. */

#include <stdlib.h>
#include <string.h>

#include "lunatic.h"

#define FOR_EVER UINT64_MAX

/* The tags with which workers say that they are there. */
#define LOGGER 1
#define STEADY 2
#define FRAGILE 3

static void check(uint32_t code)
{
    if (code != 0)
        abort();
}

static void post(uint64_t to, int64_t tag, const void *bytes, size_t len)
{
    lunatic_create_data(tag, len);
    lunatic_write_data(bytes, len);
    lunatic_send(to);
}

/* Reports its number, says it and its own id to the parent, and fails at the
 * first message. */
LUNATIC_EXPORT("worker")
void worker(int64_t number, uint64_t parent, uint64_t observer)
{
    uint64_t self = lunatic_process_id();
    post(observer, number, NULL, 0);
    post(parent, number, &self, sizeof self);
    lunatic_receive(NULL, 0, FOR_EVER);
    abort();
}

static void add(uint64_t spec, const char *name, uint64_t number, uint64_t observer,
                int64_t shutdown, uint32_t restart)
{
    static const char export[] = "worker";
    struct lunatic_param params[] = {
        {LUNATIC_I64, number, 0},
        {LUNATIC_I64, lunatic_process_id(), 0},
        {LUNATIC_I64, observer, 0},
    };
    struct lunatic_child child = {
        .name = name,
        .name_len = strlen(name),
        .module = LUNATIC_OWN,
        .config = LUNATIC_OWN,
        .export = export,
        .export_len = sizeof export - 1,
        .params = params,
        .params_len = sizeof params,
        .shutdown = shutdown,
        .restart = restart,
    };
    uint64_t error;
    check(lunatic_add_child(spec, &child, &error));
}

/* Waits until a worker is there; its id. */
static uint64_t await(int64_t number)
{
    uint64_t id = 0;
    lunatic_receive(&number, 1, FOR_EVER);
    lunatic_read_data(&id, sizeof id);
    return id;
}

/* Waits until both workers of the inner supervisor are there; the fragile one. */
static uint64_t await_inner(void)
{
    await(STEADY);
    return await(FRAGILE);
}

int main(int argc, char **argv)
{
    uint64_t id;
    uint64_t observer = argc > 1 ? strtoull(argv[1], NULL, 10) : 0;
    uint64_t root = lunatic_create_spec("root", 4, LUNATIC_ONE_FOR_ONE, 3, 5000, 0);
    uint64_t inner = lunatic_create_spec("inner", 5, LUNATIC_ONE_FOR_ALL, 1, 5000, 0);

    add(root, "logger", LOGGER, observer, 1000, LUNATIC_PERMANENT);
    add(inner, "steady", STEADY, observer, 1000, LUNATIC_PERMANENT);
    add(inner, "fragile", FRAGILE, observer, LUNATIC_BRUTAL_KILL, LUNATIC_TRANSIENT);
    check(lunatic_add_supervisor(root, inner, LUNATIC_PERMANENT, LUNATIC_INFINITY, 0, &id));
    check(lunatic_start(root, 7, &id));

    uint64_t tree = id;
    await(LOGGER);
    post(await_inner(), 0, NULL, 0);
    post(await_inner(), 0, NULL, 0);
    await_inner();
    lunatic_stop(tree);
    lunatic_wait(tree, FOR_EVER, &id);
    post(observer, 100, NULL, 0);
    return 0;
}
