/* base/marker.h - the stable lines RAYOS_<AREA>:<WHAT>[:detail] (DESIGN.md section 4).
 *
 * This table is the only place where markers are defined; docs/reference/markers.md is
 * generated from it.  Memory: none.  Threads: any.  Blocks: never.
 * Trust: details may come from outside: they are escaped and cut. */
#ifndef RAY_BASE_MARKER_H
#define RAY_BASE_MARKER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

/* X(id, prefix, has_detail, explanation) */
#define RAY_MARKER_MAP(X)                                                                          \
    X(BOOT_KERNEL, "RAYOS_BOOT_MARKER:kernel", false, "PID 1 has taken over from the kernel")      \
    X(BOOT_SUBSYSTEMS, "RAYOS_BOOT_MARKER:subsystems", false,                                      \
      "mounts, devices, network, data folder and control socket are up")                           \
    X(BOOT_SHELL, "RAYOS_BOOT_MARKER:shell", false, "the local prompt answers")                    \
    X(NODE_READY, "RAYOS_NODE_READY", true, "the node serves; detail: its name")                   \
    X(NODE_STOPPING, "RAYOS_NODE_STOPPING", true,                                                  \
      "ordered shutdown began; detail: poweroff, reboot or halt")                                  \
    X(NODE_DATA, "RAYOS_NODE_DATA", true,                                                          \
      "where the node's data lives; detail: disk:<device>, ram:<reason>")                          \
    X(NODE_FINGERPRINT, "RAYOS_NODE_FINGERPRINT", true,                                            \
      "fingerprint of the node's key; detail: words joined by '-'")                                \
    X(NODE_ADDRESS, "RAYOS_NODE_ADDRESS", true, "ray0 has an address; detail: address/prefix")     \
    X(SERVICE, "RAYOS_SERVICE", true,                                                              \
      "a service changed state; detail: <name>:<ready|failed|gave-up|stopped>[:why]")              \
    X(CRASH, "RAYOS_CRASH", true, "a process crashed; detail: <service, else command>:<signal>")   \
    X(WATCHDOG, "RAYOS_WATCHDOG", true,                                                            \
      "detail: adopted:<driver>:<seconds>, none, bite:<bootstatus>, withheld:<why>")               \
    X(PRESSURE, "RAYOS_PRESSURE", true,                                                            \
      "tasks lose time because the node is short of it; detail: <memory|io>:<high|normal>")        \
    X(LOG, "RAYOS_LOG", true,                                                                      \
      "detail: open:<folder>, rotated, full, lost:<lines>, crash:<folder>, "                       \
      "dirty[:watchdog|panic]")                                                                    \
    X(BOOT_TIMELINE, "RAYOS_BOOT_TIMELINE", true,                                                  \
      "one step of the boot; detail: <step>:<begin_us>:<end_us> of CLOCK_BOOTTIME")                \
    X(CLUSTER_QUORATE, "RAYOS_CLUSTER_QUORATE", true,                                              \
      "this member hears a quorum; detail: number of voters; again when that has changed")         \
    X(POLICY_VIOLATION, "RAYOS_POLICY_VIOLATION", true,                                            \
      "the policy has denied what was asked of this node; detail: <rule>:<who> <action> <object>") \
    X(TEST_AGENT, "RAYOS_TEST_AGENT", true, "only in the test image; detail: ready")

enum ray_marker {
#define RAY_MARKER_ENUM(id, prefix, has_detail, explanation) RAY_MARKER_##id,
    RAY_MARKER_MAP(RAY_MARKER_ENUM)
#undef RAY_MARKER_ENUM
        RAY_MARKER_COUNT
};

enum { RAY_MARKER_LINE_SIZE_MAX = 256 }; /* with newline and NUL */

struct ray_marker_info {
    const char *prefix;
    bool has_detail;
    const char *explanation;
};

const struct ray_marker_info *ray_marker_info(enum ray_marker marker);

/* The whole line with newline, one write(2) long; `detail` (NULL where there is none) is
 * escaped and cut to fit. Returns the length without NUL. */
size_t ray_marker_format(char out[static RAY_MARKER_LINE_SIZE_MAX], enum ray_marker marker,
                         const char *detail);

/* A line (with or without newline, `size` bytes) that is exactly a marker of the table:
 * true, *out_marker and *out_detail (borrows from line, "" if none, length in
 * *out_detail_size) are set. */
bool ray_marker_parse(const char *line, size_t size, enum ray_marker *out_marker,
                      const char **out_detail, size_t *out_detail_size);

#endif
