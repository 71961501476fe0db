/* node/init/disks.h - orders about the node's disks: rayos-disk carries them out, one at a time.
 *
 * Memory: its report, at most DISKS_REPORT_SIZE_MAX.  Threads: the loop's.  Blocks: for the exec.
 * Trust: the program is ours, but reads foreign disks: its report is checked as if it were not. */
#ifndef RAY_NODE_INIT_DISKS_H
#define RAY_NODE_INIT_DISKS_H

#include "base/buf.h"
#include "net/rpc.h"
#include "node/init/job.h"

enum { DISKS_REPORT_SIZE_MAX = 60000 };

struct disks {
    struct job job;
    struct ray_rpc_call *call; /* NULL: it has left; what runs goes on */
    bool is_prepare;
    bool is_too_large; /* the report */
    struct ray_buf report;
};

int disks_init(struct disks *disks, struct ray_loop *loop, struct ray_err *err);
void disks_fini(struct disks *disks); /* safe on a zeroed struct */

/* init.disks, init.disk_prepare; `arg` is a struct init. Who may is asked before. */
void disks_run_list(struct ray_rpc_call *call, const ProtobufCMessage *input, void *arg);
void disks_run_prepare(struct ray_rpc_call *call, const ProtobufCMessage *input, void *arg);

#endif
