/* What Lunatic offers to programs in C, as docs/abi.md and
 * docs/abi-extensions.md have it. */
#ifndef LUNATIC_H
#define LUNATIC_H

#include <stddef.h>
#include <stdint.h>

#define LUNATIC_IMPORT(namespace, function) \
    __attribute__((import_module(namespace), import_name(function)))
#define LUNATIC_EXPORT(function) __attribute__((export_name(function)))

/* Processes and messages. */
LUNATIC_IMPORT("lunatic::process", "process_id")
uint64_t lunatic_process_id(void);

/* Gives the calling process a name for people, of at most 255 bytes (ABI §25). */
LUNATIC_IMPORT("lunatic::process", "set_label")
void lunatic_set_label(const char *label, uint32_t len);

/* Links and monitors. Link deaths kill the caller until it has asked for messages by
 * lunatic_die_when_link_dies(0). */
LUNATIC_IMPORT("lunatic::process", "die_when_link_dies")
void lunatic_die_when_link_dies(uint32_t dies);
LUNATIC_IMPORT("lunatic::process", "link")
void lunatic_link(int64_t tag, uint64_t process);
LUNATIC_IMPORT("lunatic::process", "unlink")
void lunatic_unlink(uint64_t process);
LUNATIC_IMPORT("lunatic::process", "monitor")
void lunatic_monitor(uint64_t process);
LUNATIC_IMPORT("lunatic::process", "stop_monitoring")
void lunatic_stop_monitoring(uint64_t process);
LUNATIC_IMPORT("lunatic::process", "kill")
void lunatic_kill(uint64_t process);

/* Why processes end (ABI §31). Only LUNATIC_FAILED and LUNATIC_SHUTDOWN can be asked for. */
enum lunatic_reason {
    LUNATIC_RETURNED,
    LUNATIC_FAILED,
    LUNATIC_KILLED,
    LUNATIC_SHUTDOWN,
    LUNATIC_NO_PROCESS,
    LUNATIC_NO_CONNECTION,
};

/* Asks a process to end for this reason; the text is that of LUNATIC_FAILED. */
LUNATIC_IMPORT("lunatic::process", "exit")
void lunatic_exit(uint64_t process, uint32_t reason, const char *text, size_t len);
/* The caller is told of the end of a process by a data message with this tag: a struct
 * lunatic_ended, and the text of a failure. */
LUNATIC_IMPORT("lunatic::process", "monitor_with_reason")
void lunatic_monitor_with_reason(int64_t tag, uint64_t process);

struct __attribute__((packed)) lunatic_ended {
    uint64_t process;
    uint32_t reason;
};
_Static_assert(sizeof(struct lunatic_ended) == 12, "the head of the message has 12 bytes");

LUNATIC_IMPORT("lunatic::message", "create_data")
void lunatic_create_data(int64_t tag, uint64_t capacity);
LUNATIC_IMPORT("lunatic::message", "write_data")
uint32_t lunatic_write_data(const void *bytes, size_t len);
LUNATIC_IMPORT("lunatic::message", "read_data")
uint32_t lunatic_read_data(void *bytes, size_t len);
LUNATIC_IMPORT("lunatic::message", "get_tag")
int64_t lunatic_get_tag(void);
LUNATIC_IMPORT("lunatic::message", "data_size")
uint64_t lunatic_data_size(void);
LUNATIC_IMPORT("lunatic::message", "send")
uint32_t lunatic_send(uint64_t process);
LUNATIC_IMPORT("lunatic::message", "receive")
uint32_t lunatic_receive(const int64_t *tags, size_t count, uint64_t timeout_ms);
/* A negative tag that nobody can guess: ABI §32. */
LUNATIC_IMPORT("lunatic::message", "unique_tag")
int64_t lunatic_unique_tag(void);

/* What lunatic_receive returns. */
#define LUNATIC_DATA 0
#define LUNATIC_LINK_DIED 1
#define LUNATIC_PROCESS_DIED 2
#define LUNATIC_TIMED_OUT 9027

#define LUNATIC_FOR_EVER UINT64_MAX

LUNATIC_IMPORT("lunatic::error", "drop")
void lunatic_error_drop(uint64_t error);

/* Limits and rights in configs, and the caller's account: ABI §26. */
enum lunatic_limit {
    LUNATIC_LIMIT_MEMORY,
    LUNATIC_LIMIT_PROCESSES,
    LUNATIC_LIMIT_DESCRIPTORS,
    LUNATIC_LIMIT_TIMERS,
    LUNATIC_LIMIT_NAMES,
    /* Microseconds of CPU time in each second; is not counted. */
    LUNATIC_LIMIT_CPU,
    /* Of the branch beside others, from 1 to 10 000; is not counted. */
    LUNATIC_LIMIT_CPU_WEIGHT,
    /* Units of 100 000 fuel that were given to processes, of all that were ever spawned. */
    LUNATIC_LIMIT_FUEL,
    /* Bytes printed in each second; is not counted. */
    LUNATIC_LIMIT_OUTPUT,
    /* Threads that work for the branch at once, of each kind of blocking work; is not counted. */
    LUNATIC_LIMIT_THREADS,
    /* Microseconds in each second for which modules are compiled; is not counted. */
    LUNATIC_LIMIT_COMPILE_TIME,
    /* Lines of the runtime's log in each second; is not counted. */
    LUNATIC_LIMIT_LOG_LINES,
};

enum lunatic_right {
    LUNATIC_SIGNAL_OUTSIDE,
    LUNATIC_SEND_OUTSIDE,
    LUNATIC_USE_OUTSIDE_NAMES,
    LUNATIC_BE_SENT_TO_FROM_OUTSIDE,
};

#define LUNATIC_UNLIMITED ((uint64_t)-1)

LUNATIC_IMPORT("lunatic::process", "config_set_limit")
void lunatic_config_set_limit(uint64_t config, uint32_t kind, uint64_t limit);
LUNATIC_IMPORT("lunatic::process", "config_get_limit")
uint64_t lunatic_config_get_limit(uint64_t config, uint32_t kind);
LUNATIC_IMPORT("lunatic::process", "config_set_right")
void lunatic_config_set_right(uint64_t config, uint32_t right, uint32_t can);
LUNATIC_IMPORT("lunatic::process", "config_has_right")
uint32_t lunatic_config_has_right(uint64_t config, uint32_t right);
LUNATIC_IMPORT("lunatic::process", "account_limit")
uint64_t lunatic_account_limit(uint32_t kind);
LUNATIC_IMPORT("lunatic::process", "account_used")
uint64_t lunatic_account_used(uint32_t kind);
/* Returns 0 if the process may signal the target from now on. */
LUNATIC_IMPORT("lunatic::process", "permit_signals")
uint32_t lunatic_permit_signals(uint64_t process, uint64_t target);

/* Supervisors: ABI §23. */
enum lunatic_strategy {
    LUNATIC_ONE_FOR_ONE,
    LUNATIC_ONE_FOR_ALL,
    LUNATIC_REST_FOR_ONE,
    LUNATIC_SIMPLE_ONE_FOR_ONE,
};

enum lunatic_restart {
    LUNATIC_PERMANENT,
    LUNATIC_TRANSIENT,
    LUNATIC_TEMPORARY,
};

#define LUNATIC_INFINITY ((int64_t)-1)
#define LUNATIC_BRUTAL_KILL ((int64_t)-2)
#define LUNATIC_OWN ((int64_t)-1)

struct lunatic_child {
    const char *name;
    uint32_t name_len;
    int64_t module;
    int64_t config;
    const char *export;
    uint32_t export_len;
    const void *params;
    uint32_t params_len;
    /* Milliseconds, or one of the two above. */
    int64_t shutdown;
    uint32_t restart;
    uint32_t significant;
};
_Static_assert(sizeof(struct lunatic_child) == 56, "a child record has 56 bytes");

/* An argument of an export. */
struct __attribute__((packed)) lunatic_param {
    uint8_t type;
    uint64_t value;
    uint64_t rest;
};
_Static_assert(sizeof(struct lunatic_param) == 17, "a parameter has 17 bytes");
#define LUNATIC_I64 0x7e

/* Starts a process that runs an export. The tag of the link is 0 for none; config and module
 * are LUNATIC_OWN for the caller's. Returns 0 with the process, or 1 with an error, in *id. */
LUNATIC_IMPORT("lunatic::process", "spawn")
uint32_t lunatic_spawn(int64_t link, int64_t config, int64_t module, const char *export,
                       size_t export_len, const void *params, size_t params_len, uint64_t *id);

LUNATIC_IMPORT("lunatic::supervisor", "create_spec")
uint64_t lunatic_create_spec(const char *name, size_t name_len, uint32_t strategy,
                             uint32_t restarts, int64_t period_ms, uint32_t auto_shutdown);
LUNATIC_IMPORT("lunatic::supervisor", "add_child")
uint32_t lunatic_add_child(uint64_t spec, const struct lunatic_child *child, uint64_t *id);
LUNATIC_IMPORT("lunatic::supervisor", "add_supervisor")
uint32_t lunatic_add_supervisor(uint64_t spec, uint64_t nested, uint32_t restart,
                                int64_t shutdown, uint32_t significant, uint64_t *id);
LUNATIC_IMPORT("lunatic::supervisor", "start")
uint32_t lunatic_start(uint64_t spec, int64_t tag, uint64_t *id);
LUNATIC_IMPORT("lunatic::supervisor", "stop")
void lunatic_stop(uint64_t supervisor);
LUNATIC_IMPORT("lunatic::supervisor", "wait")
uint32_t lunatic_wait(uint64_t process, uint64_t timeout_ms, uint64_t *id);

/* Reloading: ABI §27. A function that is exported as _lunatic_reload_VERSION_KIND takes
 * over processes of that kind whose state is written in that version. It finds the state
 * in scratch, and has to call lunatic_reload_accept. */
#define LUNATIC_RELOAD_NOT_WANTED ((int64_t)-1)

/* The caller is of this kind and writes its state in this version. */
LUNATIC_IMPORT("lunatic::reload", "offer")
void lunatic_reload_offer(const char *kind, size_t kind_len, int64_t version);
/* The version in which the caller is to write its state, if it is wanted or its last wait has
 * ended early as it was; if not, its next wait ends early should that change. */
LUNATIC_IMPORT("lunatic::reload", "arm")
int64_t lunatic_reload_arm(void);
/* Hands over with the state in scratch. Does not return if it is taken; 0 if nobody wants
 * it, 1 with an error id if it was refused. */
LUNATIC_IMPORT("lunatic::reload", "hand_over")
int32_t lunatic_reload_hand_over(int64_t version, uint64_t *id);
/* In an entry: this instance is the process now. */
LUNATIC_IMPORT("lunatic::reload", "accept")
void lunatic_reload_accept(void);
/* In an entry: does not return, and the old instance goes on. In a process that is wanted:
 * declines. */
LUNATIC_IMPORT("lunatic::reload", "refuse")
void lunatic_reload_refuse(const char *text, size_t len);

/* The module id of the version of the caller's module that is current, for spawning and in
 * records of children. */
#define LUNATIC_CURRENT ((int64_t)-2)

/* Nodes: ABI §8. A node that belongs to no cluster has the id 0. */
LUNATIC_IMPORT("lunatic::distributed", "nodes_count")
uint32_t lunatic_nodes_count(void);
/* Writes up to `max` ids of nodes, the caller's first, and returns how many. */
LUNATIC_IMPORT("lunatic::distributed", "get_nodes")
uint32_t lunatic_get_nodes(uint64_t *nodes, uint32_t max);
LUNATIC_IMPORT("lunatic::distributed", "node_id")
uint64_t lunatic_node_id(void);
/* By what other nodes know the module that the caller runs. */
LUNATIC_IMPORT("lunatic::distributed", "module_id")
uint64_t lunatic_module_id(void);
/* Starts a process on a node. Returns 0 with the process; 1 or 2 with an error; or
 * LUNATIC_TIMED_OUT with an error if the node cannot be reached. The module is a
 * lunatic_module_id. */
LUNATIC_IMPORT("lunatic::distributed", "spawn")
uint32_t lunatic_spawn_on(uint64_t node, int64_t config, uint64_t module, const char *export,
                          size_t export_len, const void *params, size_t params_len,
                          uint64_t *id);
/* Sends the message in scratch. 0; 1 if there is no such node; or LUNATIC_TIMED_OUT. */
LUNATIC_IMPORT("lunatic::distributed", "send")
uint32_t lunatic_send_to(uint64_t node, uint64_t process);
/* Sends so, and waits for a message with the tag, which then is in scratch. */
LUNATIC_IMPORT("lunatic::distributed", "send_receive_skip_search")
uint32_t lunatic_ask(uint64_t node, uint64_t process, int64_t wait_on_tag, uint64_t timeout_ms);
/* Looks for the nodes that have all tags of a query like "zone=north&disk=ssd". */
LUNATIC_IMPORT("lunatic::distributed", "exec_lookup_nodes")
uint32_t lunatic_lookup_nodes(const char *query, size_t query_len, uint64_t *query_id,
                              uint32_t *count, uint64_t *error);
LUNATIC_IMPORT("lunatic::distributed", "copy_lookup_nodes_results")
int32_t lunatic_lookup_results(uint64_t query_id, uint64_t *nodes, uint32_t max,
                               uint64_t *error);

/* Beyond that: ABI §30. */

/* As lunatic_spawn_on; the process is linked to the caller before it runs, which is told the
 * tag when it dies. */
LUNATIC_IMPORT("lunatic::distributed", "spawn_link")
uint32_t lunatic_spawn_link_on(uint64_t node, int64_t tag, int64_t config, uint64_t module,
                               const char *export, size_t export_len, const void *params,
                               size_t params_len, uint64_t *id);
/* Whether a process of any node lives: 1, 0, or LUNATIC_TIMED_OUT without a connection. */
LUNATIC_IMPORT("lunatic::distributed", "exists")
uint32_t lunatic_exists(uint64_t process);
/* The length of the name of a node, which is written if it is no longer than `len`; -1 if
 * there is no connection to it. */
LUNATIC_IMPORT("lunatic::distributed", "node_name")
int32_t lunatic_node_name(uint64_t node, char *name, size_t len);
/* The node of this name, or 0. */
LUNATIC_IMPORT("lunatic::distributed", "find_node")
uint64_t lunatic_find_node(const char *name, size_t len);
/* The caller is told of nodes by data messages with this tag: a struct lunatic_node_change,
 * and the name. */
LUNATIC_IMPORT("lunatic::distributed", "monitor_nodes")
void lunatic_monitor_nodes(int64_t tag);
LUNATIC_IMPORT("lunatic::distributed", "stop_monitoring_nodes")
void lunatic_stop_monitoring_nodes(void);

enum lunatic_node_event {
    LUNATIC_NODE_PRESENT,
    LUNATIC_NODE_UP,
    LUNATIC_NODE_LOST,
    LUNATIC_NODE_LEFT,
};

struct lunatic_node_change {
    uint32_t event;
    uint32_t name_len;
    uint64_t node;
};
_Static_assert(sizeof(struct lunatic_node_change) == 16, "the head of the message has 16 bytes");

/* Names that are unique in the cluster: ABI §29. */
enum lunatic_on_loss {
    LUNATIC_LOSS_KILLS,
    /* A data message with the tag of the registration: the id of the process that has the
     * name, and the name. */
    LUNATIC_LOSS_IS_TOLD,
};

/* Gives a process of this node a name. 0; 1 if another process has it, with that in *holder;
 * 2 if there is no such process here; 3 if there are too many names; or LUNATIC_TIMED_OUT. */
LUNATIC_IMPORT("lunatic::global", "register")
uint32_t lunatic_global_register(const char *name, size_t len, uint64_t process,
                                 uint32_t on_loss, int64_t tag, uint64_t *holder);
/* 0, or 1 if no process of this node has it. */
LUNATIC_IMPORT("lunatic::global", "unregister")
uint32_t lunatic_global_unregister(const char *name, size_t len);
/* 0 with the process, or 1. */
LUNATIC_IMPORT("lunatic::global", "whereis")
uint32_t lunatic_global_whereis(const char *name, size_t len, uint64_t *process);

/* Groups of processes: ABI §24. A scope of the empty name is the default. */
struct lunatic_member {
    uint64_t node;
    uint64_t process;
};
_Static_assert(sizeof(struct lunatic_member) == 16, "a member has 16 bytes");

/* 0, or 1 with an error. */
LUNATIC_IMPORT("lunatic::group", "join")
uint32_t lunatic_group_join(const char *scope, size_t scope_len, const char *group,
                            size_t group_len, uint64_t process, uint64_t *error);
/* 0, or 1 if the process is not in it. */
LUNATIC_IMPORT("lunatic::group", "leave")
uint32_t lunatic_group_leave(const char *scope, size_t scope_len, const char *group,
                             size_t group_len, uint64_t process);
/* How many memberships there are, which are written if they are no more than `max`. */
LUNATIC_IMPORT("lunatic::group", "members")
uint32_t lunatic_group_members(const char *scope, size_t scope_len, const char *group,
                               size_t group_len, struct lunatic_member *members, uint32_t max);
/* Those of this node. */
LUNATIC_IMPORT("lunatic::group", "local_members")
uint32_t lunatic_group_local_members(const char *scope, size_t scope_len, const char *group,
                                     size_t group_len, struct lunatic_member *members,
                                     uint32_t max);
/* The length of the list of groups, which is written if it is no longer than `len`: of each
 * the length of the name, a uint32_t, and the name. */
LUNATIC_IMPORT("lunatic::group", "groups")
uint32_t lunatic_group_groups(const char *scope, size_t scope_len, void *list, size_t len);
/* 0 with a member, another one each time; or 1. */
LUNATIC_IMPORT("lunatic::group", "next")
uint32_t lunatic_group_next(const char *scope, size_t scope_len, const char *group,
                            size_t group_len, uint64_t *node, uint64_t *process);
/* Sends the message in scratch to the next member. */
LUNATIC_IMPORT("lunatic::group", "dispatch")
uint32_t lunatic_group_dispatch(const char *scope, size_t scope_len, const char *group,
                                size_t group_len, uint64_t *node, uint64_t *process);
/* Sends the message in scratch to each process of the group; to how many. */
LUNATIC_IMPORT("lunatic::group", "broadcast")
uint32_t lunatic_group_broadcast(const char *scope, size_t scope_len, const char *group,
                                 size_t group_len);
/* The caller is told of the group by data messages with this tag: a struct
 * lunatic_group_change, the name, and a struct lunatic_member for each. 0 with the id of the
 * monitor, or 1 with an error. */
LUNATIC_IMPORT("lunatic::group", "monitor")
uint32_t lunatic_group_monitor(const char *scope, size_t scope_len, const char *group,
                               size_t group_len, int64_t tag, uint64_t *id);
LUNATIC_IMPORT("lunatic::group", "monitor_scope")
uint32_t lunatic_group_monitor_scope(const char *scope, size_t scope_len, int64_t tag,
                                     uint64_t *id);
/* 0, or 1 if the caller has no such monitor. */
LUNATIC_IMPORT("lunatic::group", "stop_monitoring")
uint32_t lunatic_group_stop_monitoring(const char *scope, size_t scope_len, uint64_t monitor);

enum lunatic_group_event {
    LUNATIC_GROUP_PRESENT,
    LUNATIC_GROUP_JOINED,
    LUNATIC_GROUP_LEFT,
};

struct lunatic_group_change {
    uint32_t event;
    uint32_t name_len;
    uint64_t monitor;
};
_Static_assert(sizeof(struct lunatic_group_change) == 16, "the head of the message has 16 bytes");

#endif
