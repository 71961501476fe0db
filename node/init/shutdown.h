/* node/init/shutdown.h - the ordered way down, each phase with a deadline, all with one.
 *
 *   services (reverse order of dependencies) - all other processes - save clock and seed -
 *   log closed, boot state "clean" - swap off, unmount, read-only, sync - reboot(2)
 *
 * Whatever hangs, the total deadline ends in reboot(2) all the same; behind it stands the
 * watchdog, which stays armed over a reboot.
 * Memory: none.  Threads: the loop's; saving and unmounting on pool threads.
 * Blocks: never itself, until reboot(2).  Trust: who may ask is checked by callers. */
#ifndef RAY_NODE_INIT_SHUTDOWN_H
#define RAY_NODE_INIT_SHUTDOWN_H

#include <stdbool.h>

#include "base/log.h"
#include "base/loop.h"
#include "node/init/marker_sink.h"
#include "node/init/persist_log.h"
#include "node/init/supervise.h"
#include "node/init/watchdog.h"

enum {
    SHUTDOWN_TOTAL_MS = 60000,
    SHUTDOWN_SERVICES_MS = 30000,
    SHUTDOWN_TERM_MS = 3000, /* from SIGTERM to SIGKILL for whatever is left */
    SHUTDOWN_KILL_MS = 3000, /* from SIGKILL to going on without them */
    SHUTDOWN_POLL_MS = 50,
};

enum shutdown_mode { SHUTDOWN_POWEROFF, SHUTDOWN_REBOOT, SHUTDOWN_HALT };

const char *shutdown_mode_name(enum shutdown_mode mode);            /* "reboot" */
int shutdown_mode_parse(const char *name, enum shutdown_mode *out); /* RAY_EINVAL */

struct shutdown_config {
    struct ray_loop *loop;
    struct ray_logger *logger;
    struct marker_sink *sink;
    struct persist_log *log;
    struct supervise *supervise;
    struct watchdog *watchdog;
    bool is_hosted; /* no process but our services is touched, nothing unmounted or rebooted */
    void (*save)(void *arg);  /* on a pool thread: clock, seed */
    void (*close)(void *arg); /* on the loop, before unmounting: what holds files open */
    void (*over)(void *arg, enum shutdown_mode mode); /* hosted: instead of reboot(2) */
    void *arg;
};

enum shutdown_phase {
    SHUTDOWN_NOT,
    SHUTDOWN_SERVICES,
    SHUTDOWN_PROCESSES,
    SHUTDOWN_KILL,
    SHUTDOWN_SAVE,
    SHUTDOWN_LOG,
    SHUTDOWN_UNMOUNT,
    SHUTDOWN_END,
};

struct shutdown {
    struct shutdown_config config;
    enum shutdown_phase phase;
    enum shutdown_mode mode;
    uint64_t phase_began_ns;
    struct ray_timer total;
    struct ray_timer poll;
    uv_work_t work;
};

int shutdown_init(struct shutdown *shutdown, const struct shutdown_config *config,
                  struct ray_err *err);
void shutdown_fini(struct shutdown *shutdown);

/* The first call decides; later ones return RAY_ECONFLICT. `reason` goes to the log. */
int shutdown_begin(struct shutdown *shutdown, enum shutdown_mode mode, const char *reason,
                   struct ray_err *err);
/* Ends the machine now, without any order; for a person who will not wait. */
void shutdown_force(struct shutdown *shutdown, enum shutdown_mode mode);
/* For supervise_config.on_all_stopped. */
void shutdown_services_stopped(struct shutdown *shutdown);

/* Pure: whether this /proc/<pid>/cmdline content belongs to a process that can be waited for
 * (kernel threads and zombies have none). */
bool shutdown_is_user_process(const char *cmdline, size_t size);

#endif
