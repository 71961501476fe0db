/* node/init/crashes.h - crashes of processes, as PID 1 tells of them: the marker RAYOS_CRASH for
 * each that the collector (node/core) reports in the kernel's log, and the list of those that it
 * kept, for init.crashes.
 *
 * Memory: a list is one allocation of the call.  Threads: the loop's; the folder is read on a
 * pool thread.  Blocks: never on the loop.
 * Trust: the line may come from any process of root; the folders were written by a process that
 * had hostile input: names, sizes and contents are checked. */
#ifndef RAY_NODE_INIT_CRASHES_H
#define RAY_NODE_INIT_CRASHES_H

#include "net/proto/init.pb-c.h"
#include "net/rpc.h"
#include "node/core/core_report.h"
#include "node/core/core_store.h"

enum {
    CRASHES_COUNT_MAX = 64,     /* in an answer: the newest */
    CRASHES_CALL_COUNT_MAX = 4, /* at a time: each has a pool thread and may wait for a disk */
};

struct crashes_entry {
    char name[CORE_NAME_SIZE_MAX]; /* of its folder */
    struct core_summary summary;
};

/* Reads the folder, newest first; what is no report is left out. *out_count is set on success. */
int crashes_read(int data_fd, struct crashes_entry *entries, size_t *out_count,
                 struct ray_err *err);

/* A line of a process in the kernel's log; `arg` is struct init. */
void crashes_on_line(void *arg, const char *text, size_t size);
/* The method init.crashes; `arg` is struct init. */
void crashes_run(struct ray_rpc_call *call, const ProtobufCMessage *input, void *arg);

#endif
