/* clusterctl/lab/control_internal.h - what the files control*.c share: the methods, and the
 * lists of calls that are still open.
 *
 * Memory: each open call is one heap block, freed when it ends or its caller leaves.
 * Threads: the loop's.  Blocks: see control.h.  Trust: see control.h. */
#ifndef RAY_CLUSTERCTL_LAB_CONTROL_INTERNAL_H
#define RAY_CLUSTERCTL_LAB_CONTROL_INTERNAL_H

#include "clusterctl/lab/control.h"
#include "clusterctl/lab/lab.h"
#include "net/proto/lab.pb-c.h"
#include "net/rpc.h"

struct lab_watcher; /* control_events.c */
struct lab_waiter;  /* control_wait.c */
struct lab_viewer;  /* control_console.c */
struct lab_run;     /* control_run.c */

struct lab_control {
    struct ray_rpc_server *server;
    struct lab_watcher *watchers;
    struct lab_waiter *waiters;
    struct lab_viewer *viewers;
    struct lab_run *runs;
    struct ray_rpc_call *down; /* lab.down that waits for the end; NULL: none */
};

/* The methods of each file; `arg` is the struct lab. */
void lab_method_events(struct ray_rpc_call *call, const ProtobufCMessage *input, void *arg);
void lab_method_wait(struct ray_rpc_call *call, const ProtobufCMessage *input, void *arg);
void lab_method_console(struct ray_rpc_call *call, const ProtobufCMessage *input, void *arg);
void lab_method_console_write(struct ray_rpc_call *call, const ProtobufCMessage *input, void *arg);
void lab_method_exec(struct ray_rpc_call *call, const ProtobufCMessage *input, void *arg);
void lab_method_put(struct ray_rpc_call *call, const ProtobufCMessage *input, void *arg);
void lab_method_get(struct ray_rpc_call *call, const ProtobufCMessage *input, void *arg);
void lab_method_ping(struct ray_rpc_call *call, const ProtobufCMessage *input, void *arg);
void lab_method_run(struct ray_rpc_call *call, const ProtobufCMessage *input, void *arg);
void lab_method_run_signal(struct ray_rpc_call *call, const ProtobufCMessage *input, void *arg);
void lab_method_chaos(struct ray_rpc_call *call, const ProtobufCMessage *input, void *arg);
void lab_method_screenshot(struct ray_rpc_call *call, const ProtobufCMessage *input, void *arg);

/* Sends on what the open calls wait for. */
void lab_watchers_pump(struct lab *lab);
void lab_waiters_check(struct lab *lab);
void lab_viewers_pump(struct lab *lab, struct lab_node *node);

/* Fills `out` from the lab; texts are borrowed from it, lists from `arena`. False: no memory. */
struct ray_arena;
bool lab_status_fill(const struct lab *lab, struct ray_arena *arena, Rayos__Lab__Status *out);
/* The part of it that only the switch knows. */
bool lab_status_fill_faults(const struct lab *lab, struct ray_arena *arena,
                            Rayos__Lab__Status *out);

/* Ends a call with Done. */
void lab_reply_done(struct ray_rpc_call *call);

#endif
