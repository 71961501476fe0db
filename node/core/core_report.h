/* node/core/core_report.h - core.json: all that is known of one crash
 * (docs/reference/crashes.md).
 *
 * Memory: make returns malloc'd text.  Threads: any.  Blocks: never.
 * Trust: make escapes what the process chose; read takes a file of the collector, which had
 * hostile input: strict and bounded. */
#ifndef RAY_NODE_CORE_CORE_REPORT_H
#define RAY_NODE_CORE_CORE_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "node/core/core_elf.h"
#include "node/core/core_process.h"

enum {
    CORE_REPORT_SIZE_MAX = 256 << 10,
    CORE_REPORT_NAME_SIZE_MAX = 256, /* of a module */
};

struct core_report {
    const struct core_process *process;
    const struct core_notes *notes; /* NULL: the core's head was not understood */
    enum core_keep kept;
    const char *reason;  /* why not the whole memory; "": it is there */
    uint64_t size_bytes; /* of the file core */
    uint64_t disk_bytes; /* what it takes: runs of zeros take nothing */
    bool is_truncated;
    uint64_t uncounted_before;
};

/* RAY_ENOMEM. Modules that are no ELF files have build_id ""; *out_text is freed by the caller. */
int core_report_make(const struct core_report *report, char **out_text, size_t *out_size,
                     struct ray_err *err);

/* What a list of crashes shows. */
struct core_summary {
    uint64_t time_s;
    uint64_t pid;
    uint64_t size_bytes;
    char what[64]; /* service, else command */
    char service[CORE_SERVICE_SIZE_MAX];
    char comm[CORE_COMM_SIZE_MAX];
    char exe[256];
    char signal[32];
    char build_id[CORE_BUILD_ID_SIZE];
    char boot_id[40];
    char kept[16];
    bool is_truncated;
};
/* RAY_EMALFORMED when a member is missing, of another type or not printable. */
int core_report_read(const char *text, size_t size, struct core_summary *out, struct ray_err *err);

#endif
