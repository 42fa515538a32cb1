/* The host functions that the guests in this folder use, as
 * docs/abi.md and docs/abi-extensions.md have them. */
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
LUNATIC_IMPORT("lunatic::message", "create_data")
void lunatic_create_data(int64_t tag, uint64_t capacity);
LUNATIC_IMPORT("lunatic::message", "write_data")
uint32_t lunatic_write_data(const void *bytes, size_t len);
LUNATIC_IMPORT("lunatic::message", "read_data")
uint32_t lunatic_read_data(void *bytes, size_t len);
LUNATIC_IMPORT("lunatic::message", "send")
uint32_t lunatic_send(uint64_t process);
LUNATIC_IMPORT("lunatic::message", "receive")
uint32_t lunatic_receive(const int64_t *tags, size_t count, uint64_t timeout_ms);

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
};

enum lunatic_right {
    LUNATIC_SIGNAL_OUTSIDE,
    LUNATIC_SEND_OUTSIDE,
    LUNATIC_USE_OUTSIDE_NAMES,
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
/* The version in which the caller is to write its state; if there is none, its next wait
 * ends early should that change. */
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

#endif
