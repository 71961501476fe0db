/* tests/agent/files.h - files to and from the host.
 *
 * Memory: a put is collected in memory, at most PUT_SIZE_MAX, so that the file appears whole;
 * a get is read as the port takes it.  Threads: the loop's.  Blocks: on the disk (it is a
 * test's own file).  Trust: as tests/agent/exec.h. */
#ifndef RAY_TESTS_AGENT_FILES_H
#define RAY_TESTS_AGENT_FILES_H

#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "net/proto/agent.pb-c.h"
#include "tests/agent/port.h"

enum { PUT_COUNT_MAX = 8, PUT_SIZE_MAX = 64 << 20, GET_COUNT_MAX = 8 };

struct put {
    uint64_t id; /* 0: free */
    char path[512];
    uint32_t mode;
    uint64_t size;
    struct ray_buf bytes;
};

struct get {
    uint64_t id; /* 0: free */
    int fd;
};

struct files {
    struct port *port;
    struct put puts[PUT_COUNT_MAX];
    struct get gets[GET_COUNT_MAX];
};

void files_init(struct files *files, struct port *port);
void files_forget(struct files *files); /* everything of an ended session */

/* Each may send answers of request `id`, the one that ends it too; a failure is returned
 * instead, and nothing of the request is left then. */
int files_put(struct files *files, uint64_t id, const Rayos__Agent__Put *put, struct ray_err *err);
/* The next bytes of a put. Those of a put that is not open are dropped: it has failed. */
int files_data(struct files *files, uint64_t id, const Rayos__Agent__Data *data,
               struct ray_err *err);
int files_get(struct files *files, uint64_t id, const Rayos__Agent__Get *get, struct ray_err *err);

/* The port has room: open gets go on. */
void files_resume(struct files *files);

#endif
