/* node/core/core_collect.h - from the kernel's pipe to a folder: the whole work of the collector
 * behind its sandbox, on descriptors only.
 *
 *   stream ──▶ core_scan ──▶ notes ──▶ modules ── build ids from the process's memory ─▶ core.json
 *        └───▶ core_store ──▶ core (sparse, limited)
 *
 * Memory: a buffer of 64 KiB, the notes (1 MiB at most) and the report.  Threads: one.
 * Blocks: on the stream until the deadline, and on the disk.
 * Trust: the stream and the process's memory are hostile. */
#ifndef RAY_NODE_CORE_CORE_COLLECT_H
#define RAY_NODE_CORE_CORE_COLLECT_H

#include "node/core/core_process.h"
#include "node/core/core_rate.h"
#include "node/core/core_store.h"

struct core_job {
    const struct core_process *process;
    int stream_fd;
    int memory_fd; /* /proc/PID/mem; -1: no build ids */
    int rate_fd;   /* -1: nobody counts, so no memory is kept */
    int cores_fd;  /* -1: there is no folder */
    const struct core_limits *limits;
    uint64_t deadline_ns; /* of CLOCK_MONOTONIC: what is there by then is what is kept */
};

struct core_outcome {
    enum core_keep kept;
    uint64_t uncounted;              /* see core_rate_take */
    char folder[CORE_NAME_SIZE_MAX]; /* "": none */
    char reason[160];                /* why not more; "": all of it is there */
};

/* Never fails: the outcome says what was possible. */
void core_collect(const struct core_job *job, struct core_outcome *out);

#endif
