/* Two nodes: a process of the other one, names, groups, and how processes and nodes end.
 *
 * lunatic-cli/tests/nodes_in_c.rs runs it on a node of a cluster of two. Whatever is not as
 * docs/abi-extensions.md says aborts it. */

#include <stdlib.h>
#include <string.h>

#include "lunatic.h"

#define LIMIT_MS 30000

/* The tags of messages. */
enum { LINK = 5, ENDED = 3, NODES = 8, GROUP = 9, READY = 11, WORK = 12, DONE = 13 };

#define NAME "leader", 6
#define SCOPE "shop", 4
#define WORKERS "shop", 4, "workers", 7

static void check(int holds)
{
    if (!holds)
        abort();
}

/* Waits for a data message with this tag and reads it, with a 0 behind; its length. */
static size_t told(int64_t tag, void *bytes, size_t max)
{
    check(lunatic_receive(&tag, 1, LIMIT_MS) == LUNATIC_DATA);
    check(lunatic_get_tag() == tag);
    size_t len = lunatic_data_size();
    check(len < max);
    check(lunatic_read_data(bytes, len) == len);
    ((char *)bytes)[len] = 0;
    return len;
}

static void create(int64_t tag)
{
    lunatic_create_data(tag, 0);
}

/* On the other node: is a worker, does one piece of work, and lives until it is ended. */
LUNATIC_EXPORT("worker")
void worker(uint64_t parent)
{
    uint64_t self = lunatic_process_id(), error;
    check(lunatic_group_join(WORKERS, self, &error) == 0);
    create(READY);
    check(lunatic_send(parent) == 0);
    char work[8];
    check(told(WORK, work, sizeof work) == 0);
    create(DONE);
    check(lunatic_send(parent) == 0);
    lunatic_receive(NULL, 0, LUNATIC_FOR_EVER);
}

static uint64_t start_worker(uint64_t node)
{
    static const char export[] = "worker";
    struct lunatic_param parent = {LUNATIC_I64, lunatic_process_id(), 0};
    uint64_t id;
    check(lunatic_spawn_link_on(node, LINK, LUNATIC_OWN, lunatic_module_id(), export,
                                sizeof export - 1, &parent, sizeof parent, &id) == 0);
    return id;
}

static void names(uint64_t self)
{
    uint64_t id = 0;
    check(lunatic_global_whereis(NAME, &id) == 1);
    check(lunatic_global_register(NAME, self, LUNATIC_LOSS_IS_TOLD, 1, &id) == 0);
    check(lunatic_global_whereis(NAME, &id) == 0 && id == self);
    check(lunatic_global_unregister(NAME) == 0);
    check(lunatic_global_register(NAME, self + 1, LUNATIC_LOSS_KILLS, 0, &id) == 2);
}

static void nodes(uint64_t own, uint64_t other)
{
    char name[64];
    check(lunatic_node_name(own, name, sizeof name) == 3 && memcmp(name, "two", 3) == 0);
    check(lunatic_find_node("one", 3) == other);
    check(lunatic_find_node("none", 4) == 0);
    uint64_t query, error, found[2];
    uint32_t count;
    check(lunatic_lookup_nodes("", 0, &query, &count, &error) == 0 && count == 2);
    check(lunatic_lookup_results(query, found, 2, &error) == 2);

    lunatic_monitor_nodes(NODES);
    union {
        struct lunatic_node_change head;
        char bytes[sizeof(struct lunatic_node_change) + 64];
    } message;
    check(told(NODES, &message, sizeof message) == sizeof message.head + 3);
    check(message.head.event == LUNATIC_NODE_PRESENT && message.head.node == other);
    check(message.head.name_len == 3 && memcmp(message.bytes + sizeof message.head, "one", 3) == 0);
    lunatic_stop_monitoring_nodes();
}

/* A change of the group of workers: its kind, with the one member that it names. */
static uint32_t change(uint64_t monitor, struct lunatic_member *member)
{
    struct {
        struct lunatic_group_change head;
        char name[7];
        char members[64];
    } __attribute__((packed)) message;
    size_t len = told(GROUP, &message, sizeof message);
    check(message.head.monitor == monitor && message.head.name_len == 7);
    size_t members = len - sizeof message.head - 7;
    check(members == 0 || members == sizeof *member);
    memcpy(member, message.members, members);
    return message.head.event;
}

int main(void)
{
    uint64_t self = lunatic_process_id(), ids[8], error, monitor, node, process;
    check(lunatic_nodes_count() == 2 && lunatic_get_nodes(ids, 8) == 2);
    uint64_t own = ids[0], other = ids[1];
    check(own == lunatic_node_id());
    lunatic_die_when_link_dies(0);
    nodes(own, other);
    names(self);

    /* A group over two nodes. */
    struct lunatic_member member, members[4];
    check(lunatic_group_monitor(WORKERS, GROUP, &monitor) == 0);
    check(change(monitor, &member) == LUNATIC_GROUP_PRESENT);
    uint64_t child = start_worker(other);
    check(change(monitor, &member) == LUNATIC_GROUP_JOINED);
    check(member.node == other && member.process == child);
    char ready[8];
    told(READY, ready, sizeof ready);
    check(lunatic_group_join(WORKERS, self, &error) == 0);
    check(change(monitor, &member) == LUNATIC_GROUP_JOINED && member.process == self);
    check(lunatic_group_members(WORKERS, members, 4) == 2);
    check(lunatic_group_local_members(WORKERS, members, 4) == 1 && members[0].process == self);
    char list[64];
    check(lunatic_group_groups(SCOPE, list, sizeof list) == 4 + 7);
    check(memcmp(list + 4, "workers", 7) == 0);
    check(lunatic_group_leave(WORKERS, self) == 0 && lunatic_group_leave(WORKERS, self) == 1);
    check(change(monitor, &member) == LUNATIC_GROUP_LEFT && member.process == self);
    check(lunatic_group_next(WORKERS, &node, &process) == 0);
    check(node == other && process == child);
    create(WORK);
    check(lunatic_group_dispatch(WORKERS, &node, &process) == 0 && process == child);
    told(DONE, ready, sizeof ready);

    /* Its end, with a reason. */
    check(lunatic_exists(child) == 1 && lunatic_exists(self) == 1);
    lunatic_monitor_with_reason(ENDED, child);
    lunatic_exit(child, LUNATIC_FAILED, "out of work", 11);
    check(lunatic_receive((int64_t[]){LINK}, 1, LIMIT_MS) == LUNATIC_LINK_DIED);
    union {
        struct lunatic_ended head;
        char bytes[64];
    } ended;
    check(told(ENDED, &ended, sizeof ended) == sizeof ended.head + 11);
    check(ended.head.process == child && ended.head.reason == LUNATIC_FAILED);
    check(memcmp(ended.bytes + sizeof ended.head, "out of work", 11) == 0);
    check(change(monitor, &member) == LUNATIC_GROUP_LEFT && member.process == child);
    check(lunatic_exists(child) == 0);
    check(lunatic_group_stop_monitoring(SCOPE, monitor) == 0);

    /* A scope, a broadcast, and what is sent to a node by its id. */
    check(lunatic_group_monitor_scope(SCOPE, GROUP, &monitor) == 0);
    child = start_worker(other);
    check(change(monitor, &member) == LUNATIC_GROUP_JOINED && member.process == child);
    told(READY, ready, sizeof ready);
    create(WORK);
    check(lunatic_group_broadcast(WORKERS) == 1);
    told(DONE, ready, sizeof ready);
    lunatic_unlink(child);
    create(WORK);
    check(lunatic_send_to(other, child) == 0);
    lunatic_monitor_with_reason(ENDED, child);
    check(told(ENDED, &ended, sizeof ended) == sizeof ended.head);
    check(ended.head.reason == LUNATIC_RETURNED || ended.head.reason == LUNATIC_NO_PROCESS);
    return 0;
}
