/* clusterctl/lab/qmp.h - commands to a QEMU and its events (QEMU Machine Protocol) on the loop.
 *
 * Memory: create/destroy; destroy from within any callback is fine. The buffers are bounded;
 * what on_reply and on_event get is borrowed until they return.
 * Threads: the loop's.  Blocks: never.
 * Trust: QEMU is a process that a guest may have taken over: garbage, endless lines and
 * silence end the connection or the command, never more. */
#ifndef RAY_LAB_QMP_H
#define RAY_LAB_QMP_H

#include <stdbool.h>
#include <stdint.h>
#include <yyjson.h>

#include "base/err.h"
#include "base/loop.h"

enum {
    RAY_QMP_INPUT_SIZE_MAX = 1 << 20,  /* one message; query-qmp-schema has 0.3 MB */
    RAY_QMP_OUTPUT_SIZE_MAX = 1 << 20, /* commands that QEMU has not read yet */
    RAY_QMP_PENDING_COUNT_MAX = 32,    /* commands without reply */
    RAY_QMP_GREETING_TIMEOUT_MS = 60000,
};

struct ray_qmp;

struct ray_qmp_handlers {
    /* The greeting came and capabilities are negotiated. May be NULL. */
    void (*on_ready)(void *arg);
    /* "RESET", "SHUTDOWN", "STOP", "RESUME", "POWERDOWN", "WATCHDOG", ...; `data` may be NULL;
     * t_us is QEMU's time of the event, since 1970. May be NULL. */
    void (*on_event)(void *arg, const char *name, yyjson_val *data, uint64_t t_us);
    /* The connection has ended, called once, after the replies of all pending commands.
     * RAY_ECLOSED: QEMU closed it. RAY_EMALFORMED, RAY_ETIMEOUT, ...: it is given up. */
    void (*on_close)(void *arg, const struct ray_err *err);
};

/* Takes `fd`, a connected stream socket, at once and also on failure. */
int ray_qmp_create(struct ray_qmp **out, struct ray_loop *loop, int fd,
                   const struct ray_qmp_handlers *handlers, void *arg, struct ray_err *err);

/* Closes; pending commands get RAY_ECANCELED before it returns, on_close is not called. */
void ray_qmp_destroy(struct ray_qmp *qmp); /* NULL is fine */

/* A non-blocking socket to a QEMU that listens at `path`. RAY_ENOTFOUND: not there yet. */
int ray_qmp_connect(const char *path, int *out_fd, struct ray_err *err);

/* The reply to a command: rc RAY_OK and `value` (what "return" holds), or a negative code and
 * `err` (QEMU's own words for an error reply: RAY_ENOTFOUND for unknown commands and devices,
 * RAY_EINVAL otherwise; RAY_ETIMEOUT; RAY_ECLOSED; RAY_ECANCELED). */
typedef void ray_qmp_reply(void *arg, int rc, yyjson_val *value, const struct ray_err *err);

/* `arguments` is a JSON object as text, or NULL. Before the connection is ready commands wait;
 * their time runs all the same. on_reply (may be NULL) is called exactly once, never from
 * within this call, unless the result is not RAY_OK. RAY_EINVAL: arguments are no JSON object.
 * RAY_ECLOSED. RAY_ETOOBIG: too many commands wait. */
int ray_qmp_execute(struct ray_qmp *qmp, const char *command, const char *arguments,
                    uint64_t timeout_ms, ray_qmp_reply *on_reply, void *arg, struct ray_err *err);

bool ray_qmp_is_ready(const struct ray_qmp *qmp);

#endif
