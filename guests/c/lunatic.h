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

/* Limits and rights in configs, and the caller's account: ABI §26. */
enum lunatic_limit {
    LUNATIC_LIMIT_MEMORY,
    LUNATIC_LIMIT_PROCESSES,
    LUNATIC_LIMIT_DESCRIPTORS,
    LUNATIC_LIMIT_TIMERS,
    LUNATIC_LIMIT_NAMES,
    /* Microseconds of CPU time in each second; is not counted. */
    LUNATIC_LIMIT_CPU,
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

#endif
