/* clusterctl/lab/accel.h - which accelerator the lab's machines get: KVM when a kernel really
 * runs under it, else TCG.
 *
 * Memory: everything in the caller's structs.  Threads: one.
 * Blocks: up to the probe's time limit (5 s) for a QEMU that it starts and ends; the answer is
 * remembered in `state_dir` for an hour of the same boot, the same kernel and the same QEMU.
 * Trust: the remembered answer may be any bytes; then the probe runs again. */
#ifndef RAY_LAB_ACCEL_H
#define RAY_LAB_ACCEL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

enum {
    RAY_ACCEL_REASON_SIZE = 256,
    RAY_ACCEL_PROBE_MS = 5000,
    RAY_ACCEL_REMEMBER_S = 3600,
};

enum ray_accel_choice { RAY_ACCEL_AUTO, RAY_ACCEL_TCG, RAY_ACCEL_KVM };

struct ray_accel_config {
    enum ray_accel_choice choice;
    const char *qemu_path;   /* absolute: /usr/bin/qemu-system-x86_64 */
    const char *kernel_path; /* a bzImage that writes to ttyS0 when told to */
    const char *state_dir;   /* exists; "accel.json" is kept there; NULL: nothing is remembered */
    const char *kvm_path;    /* NULL: /dev/kvm; tests give another */
    uint32_t probe_ms;       /* 0: RAY_ACCEL_PROBE_MS */
};

struct ray_accel {
    bool uses_kvm;
    bool was_remembered;
    char reason[RAY_ACCEL_REASON_SIZE]; /* a sentence: why this one */
    const char *args[5];                /* for QEMU: "-accel", ..., "-cpu", ..., NULL */
};

/* RAY_EUNAVAILABLE: KVM was demanded and does not work (err says why, next step: auto).
 * With RAY_ACCEL_AUTO a probe that cannot be run only means TCG. */
int ray_accel_choose(const struct ray_accel_config *config, struct ray_accel *out,
                     struct ray_err *err);

#endif
