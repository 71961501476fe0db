/* clusterctl/lab/accel_probe.h - starts a kernel under KVM and waits for its first byte.
 *
 * Memory: none kept.  Threads: one.  Blocks: up to the time limit; the QEMU is gone after.
 * Trust: QEMU's output is only looked at and escaped. */
#ifndef RAY_LAB_ACCEL_PROBE_H
#define RAY_LAB_ACCEL_PROBE_H

#include "clusterctl/lab/accel.h"

/* RAY_OK: *out_works tells, and `reason` says why in a sentence. A negative code when the
 * probe itself could not be run. */
int ray_accel_probe(const struct ray_accel_config *config, bool *out_works,
                    char reason[static RAY_ACCEL_REASON_SIZE], struct ray_err *err);

#endif
