/* coordinator/lease/launcher.h - one epoch, one run: what the launcher remembers per guest, and
 * what it therefore refuses (DESIGN.md section 8).
 *
 * Every call writes the table first and only then says "do it": a launcher that dies between the
 * two has burned an epoch for nothing (a `start` raises it), never run one twice. The table is
 * flat, without pointers, and lives in memory that survives the launcher (a memfd kept by PID 1);
 * it need not survive a reboot, because another incarnation is granted only newer epochs.
 * Memory: the caller's.  Threads: one owner.  Blocks: never.
 * Trust: rayosd asks; a wrong question is refused, not asserted. */
#ifndef RAY_COORDINATOR_LEASE_LAUNCHER_H
#define RAY_COORDINATOR_LEASE_LAUNCHER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/epoch.h"
#include "base/err.h"
#include "base/grant_monitor.h"
#include "base/id.h"

enum { COORD_LAUNCHER_GUESTS_MAX = 2048 };

struct coord_launcher_guest {
    struct ray_id id;         /* none: free */
    struct ray_epoch burned;  /* highest that was forked, adopted, frozen for migration or ended */
    struct ray_epoch epoch;   /* of the monitor's copy; a loaded copy's source */
    enum ray_grant_copy copy; /* RAY_GRANT_COPY_ENDED: no monitor */
    uint32_t reserved;
};

struct coord_launcher {
    uint64_t magic;
    uint32_t version;
    uint32_t guest_count_max;
    struct ray_epoch floor; /* burned by guests that were forgotten */
    uint64_t guest_end;     /* no place from here on is in use */
    struct coord_launcher_guest guests[COORD_LAUNCHER_GUESTS_MAX];
};

void coord_launcher_init(struct coord_launcher *launcher);
/* Of memory that an earlier launcher left; RAY_EUNSUPPORTED: another layout. */
int coord_launcher_check(const struct coord_launcher *launcher, struct ray_err *err);

/* NULL: nothing is known of it (then only epochs above `floor` may run). */
const struct coord_launcher_guest *coord_launcher_find(const struct coord_launcher *launcher,
                                                       const struct ray_id *guest);
/* The highest epoch that will never again be forked here. */
struct ray_epoch coord_launcher_burned(const struct coord_launcher *launcher,
                                       const struct ray_id *guest);

/* RAY_OK: burned, now fork. RAY_ECONFLICT: this epoch or a newer one was run here already.
 * RAY_EEXISTS: there is a monitor. RAY_ETOOBIG: the table is full. */
int coord_launcher_fork(struct coord_launcher *launcher, const struct ray_id *guest,
                        struct ray_epoch epoch, struct ray_err *err);
/* RAY_OK: fork a monitor that receives a copy frozen at `from` and runs nothing. */
int coord_launcher_load(struct coord_launcher *launcher, const struct ray_id *guest,
                        struct ray_epoch from, struct ray_err *err);
/* RAY_OK: burned; now tell the monitor to freeze for migration. */
int coord_launcher_freeze(struct coord_launcher *launcher, const struct ray_id *guest,
                          struct ray_epoch epoch, struct ray_err *err);
/* RAY_OK: burned; now tell the monitor to adopt `epoch`. RAY_ECONFLICT: this copy is not the one
 * of that epoch; it must be ended. */
int coord_launcher_adopt(struct coord_launcher *launcher, const struct ray_id *guest,
                         struct ray_epoch epoch, enum ray_epoch_origin origin,
                         struct ray_epoch from, struct ray_err *err);
/* Burns up to `epoch` even if it was never forked: RAY_OK: end the monitor if there is one
 * (*out_has_monitor) and reap it; only after that may `stopped` be proposed. */
int coord_launcher_end(struct coord_launcher *launcher, const struct ray_id *guest,
                       struct ray_epoch epoch, bool *out_has_monitor, struct ray_err *err);
/* The monitor was reaped, whyever it ended. */
void coord_launcher_reaped(struct coord_launcher *launcher, const struct ray_id *guest);
/* The guest has no home here any more and no monitor: makes room; `floor` keeps what it burned.
 * RAY_EEXISTS: there is a monitor. */
int coord_launcher_forget(struct coord_launcher *launcher, const struct ray_id *guest,
                          struct ray_err *err);

#endif
