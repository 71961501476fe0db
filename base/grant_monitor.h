/* base/grant_monitor.h - the monitor's side of grants: may this vCPU run now, and which copy of a
 * guest's memory may ever run (DESIGN.md section 8). Used by hv/, which arms the timers.
 *
 * A copy belongs to one epoch and runs only while the page says that this epoch is alive:
 *
 *     fork ──▶ RUN(e) ──freeze for migration──▶ FROZEN(e) ──adopt its cancel e'──▶ RUN(e')
 *     load ──▶ LOADED(from e) ──────────────── adopt its take-over e' ───────────▶ RUN(e')
 *
 * A deadline that passes freezes without a change of state: the same epoch alive again thaws it.
 * Nothing else ever runs: no other epoch, no FROZEN or LOADED copy, nothing after end.
 * Each vCPU has its own deadline, moved only by the main thread: when that hangs, the deadline
 * merely comes earlier.
 * Memory: the caller's; the page is borrowed.  Threads: struct ray_grant_monitor: the main
 * thread's; struct ray_grant_vcpu: written by the main thread, read by its vCPU.
 * Blocks: never.  Trust: adopt checks what the agent says against what this copy is. */
#ifndef RAY_BASE_GRANT_MONITOR_H
#define RAY_BASE_GRANT_MONITOR_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/epoch.h"
#include "base/err.h"
#include "base/grant_page.h"
#include "base/id.h"

enum ray_grant_copy {
    RAY_GRANT_COPY_ENDED = 0,
    RAY_GRANT_COPY_RUN,
    RAY_GRANT_COPY_FROZEN, /* for migration; never again at this epoch */
    RAY_GRANT_COPY_LOADED, /* received; `epoch` is the source's */
};

struct ray_grant_vcpu {
    _Atomic uint64_t deadline_ns; /* CLOCK_BOOTTIME; 0: must not run */
};

struct ray_grant_monitor {
    const struct ray_grant_page *page;
    size_t slot;
    struct ray_id guest;
    struct ray_epoch epoch;
    enum ray_grant_copy copy;
};

/* A guest started at `epoch`. Runs nothing before the first refresh. */
void ray_grant_monitor_init(struct ray_grant_monitor *monitor, const struct ray_grant_page *page,
                            size_t slot, const struct ray_id *guest, struct ray_epoch epoch);
/* A copy that is being received from a source that ran it at `from`. */
void ray_grant_monitor_init_loaded(struct ray_grant_monitor *monitor,
                                   const struct ray_grant_page *page, size_t slot,
                                   const struct ray_id *guest, struct ray_epoch from);

/* Reads the page and moves every vCPU's deadline; returns it, for the timers: 0 means stop now.
 * Called by the main thread whenever the agent has moved the page, and on its own tick. */
uint64_t ray_grant_monitor_refresh(const struct ray_grant_monitor *monitor,
                                   struct ray_grant_vcpu *vcpus, size_t vcpu_count);

/* For migration: no vCPU enters again at this epoch, whatever page or agent say. The caller then
 * waits until each vCPU has left. RAY_ECONFLICT: there is nothing running to freeze. */
int ray_grant_monitor_freeze(struct ray_grant_monitor *monitor, struct ray_grant_vcpu *vcpus,
                             size_t vcpu_count, struct ray_err *err);
/* This copy is the one of `epoch`, which `origin` made from `from`: a FROZEN one only by the
 * cancel of its own epoch, a LOADED one only by its own take-over. RAY_ECONFLICT otherwise: it
 * must be destroyed. */
int ray_grant_monitor_adopt(struct ray_grant_monitor *monitor, struct ray_epoch epoch,
                            enum ray_epoch_origin origin, struct ray_epoch from,
                            struct ray_err *err);
void ray_grant_monitor_end(struct ray_grant_monitor *monitor, struct ray_grant_vcpu *vcpus,
                           size_t vcpu_count);

/* vCPU thread: before each entry to the guest, after any pause, and before each submission to a
 * disk. `now_ns` is read after everything that may have slept. */
static inline bool ray_grant_vcpu_may_run(const struct ray_grant_vcpu *vcpu, uint64_t now_ns)
{
    return now_ns < atomic_load_explicit(&vcpu->deadline_ns, memory_order_acquire);
}

#endif
