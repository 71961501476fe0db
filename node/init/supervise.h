/* node/init/supervise.h - does what supervise_core decides: starts, stops and kills services,
 * each in its own cgroup, with its output in the log and its kept descriptors.
 *
 * Memory: fixed units inside the struct; owns children, pipes, cgroup descriptors.
 * Threads: the loop's.  Blocks: for the exec of a child.
 * Trust: nothing from a service reaches a decision except through notify_message and its
 * exit status. */
#ifndef RAY_NODE_INIT_SUPERVISE_H
#define RAY_NODE_INIT_SUPERVISE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/child.h"
#include "base/log.h"
#include "base/loop.h"
#include "node/init/fd_store.h"
#include "node/init/service_log.h"
#include "node/init/services.h"
#include "node/init/supervise_core.h"

enum { SUPERVISE_QUEUE_COUNT_MAX = 2 * SUPERVISE_SERVICE_COUNT_MAX };

struct supervise;

struct supervise_unit {
    struct supervise *owner;
    const struct service_def *def;
    size_t index;
    struct ray_child child;
    struct service_log output;
    struct fd_store kept;
    int cgroup_fd; /* -1: none */
    char status_text[NOTIFY_STATUS_SIZE_MAX];
    char last_exit[64]; /* or why it could not be started */
};

struct supervise_config {
    struct ray_loop *loop;
    struct ray_logger *logger;
    struct init_cgroup *cgroup; /* fd -1: services share PID 1's cgroup */
    const char *root;           /* in front of each program's path; "" on a node */
    const char *run_path;       /* "/run/rayos"; borrowed, as the next */
    const char *notify_path;
    bool is_hosted;       /* services keep our user, capabilities are not touched */
    service_log_put *put; /* lines of services */
    /* The command line of a start, begins with the row's program; NULL: the row's. */
    const char *const *(*argv)(void *arg, const struct service_def *def);
    void (*on_changed)(void *arg, const struct supervise_unit *unit);
    void (*on_all_ready)(void *arg);
    void (*on_all_stopped)(void *arg);
    void *arg; /* of the five above */
};

struct supervise {
    struct supervise_config config;
    struct supervise_core core;
    struct supervise_spec specs[SUPERVISE_SERVICE_COUNT_MAX];
    struct supervise_unit units[SUPERVISE_SERVICE_COUNT_MAX];
    size_t count;
    struct ray_timer tick;
    /* Events that came while a step was being performed. */
    struct supervise_event queue[SUPERVISE_QUEUE_COUNT_MAX];
    size_t queue_count;
    bool is_stepping;
};

int supervise_init(struct supervise *supervise, const struct supervise_config *config,
                   const struct service_def *table, size_t count, struct ray_err *err);
/* Kills what still runs. */
void supervise_fini(struct supervise *supervise);

void supervise_start(struct supervise *supervise);
void supervise_stop_all(struct supervise *supervise);
void supervise_set_conditions(struct supervise *supervise, uint32_t conditions);
/* Services that need one of them stop, and wait for it. */
void supervise_clear_conditions(struct supervise *supervise, uint32_t conditions);
/* RAY_ENOTFOUND: no such service, or its program is not in this image. */
int supervise_restart(struct supervise *supervise, const char *name, struct ray_err *err);

struct supervise_unit *supervise_find(struct supervise *supervise, const char *name);
struct supervise_unit *supervise_find_pid(struct supervise *supervise, pid_t pid);
const struct supervise_service *supervise_unit_state(const struct supervise_unit *unit);

/* What a service says of itself (notify_server.c). Takes over `fds`. */
void supervise_notified(struct supervise_unit *unit, const struct notify_message *message,
                        const int *fds, size_t fd_count);

/* The name of a needed service that was killed and does not die (it hangs in the kernel) for
 * longer than limit_ns; NULL: none. */
const char *supervise_wedged(const struct supervise *supervise, uint64_t now_ns, uint64_t limit_ns);

#endif
