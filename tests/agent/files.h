/* tests/agent/files.h - files to and from the host, and the disk with test tools.
 *
 * Memory: puts are collected in memory, at most PUT_SIZE_MAX each.  Threads: the loop's.
 * Blocks: on the disk (it is a test's own file).  Trust: as tests/agent/exec.h. */
#ifndef RAY_TESTS_AGENT_FILES_H
#define RAY_TESTS_AGENT_FILES_H

#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "net/proto/agent.pb-c.h"
#include "tests/agent/port.h"

enum { PUT_COUNT_MAX = 8, PUT_SIZE_MAX = 64 << 20 };

struct put {
    uint64_t id; /* 0: free */
    char path[512];
    uint32_t mode;
    uint64_t size;
    struct ray_buf bytes;
};

struct files {
    struct put puts[PUT_COUNT_MAX];
};

void files_forget(struct files *files); /* open puts of an ended session */
/* Begins a put; an empty file is written at once (then *out_done is true). */
int files_put(struct files *files, uint64_t id, const Rayos__Agent__Put *put, bool *out_done,
              struct ray_err *err);
/* The next bytes of a put; *out_done when the file is on stable storage. */
int files_data(struct files *files, uint64_t id, const Rayos__Agent__Data *data, bool *out_done,
               struct ray_err *err);
/* Sends a file in Data answers, then Done. */
int files_get(struct port *port, uint64_t id, const Rayos__Agent__Get *get, struct ray_err *err);

/* Mounts the disk whose serial or partition is named RAYOS_TOOLS read-only at /run/tools.
 * RAY_ENOTFOUND when there is none. */
int files_mount_tools(struct ray_err *err);

#endif
