/* provisioning/pxe/control_internal.h - what the parts of the control socket share. Private.
 *
 * Memory: messages are built in an arena that lives as long as one answer; their texts are
 * borrowed from records and from the store.  Threads: the loop's.  Blocks: see control.h.
 * Trust: see control.h. */
#ifndef RAY_PROVISIONING_PXE_CONTROL_INTERNAL_H
#define RAY_PROVISIONING_PXE_CONTROL_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/arena.h"
#include "net/proto/provision.pb-c.h"
#include "net/rpc.h"
#include "provisioning/pxe/control.h"
#include "provisioning/pxe/service_internal.h"

enum {
    CONTROL_ARENA_SIZE_MAX = 512 << 10,
    CONTROL_WATCH_COUNT_MAX = 64,
    CONTROL_REASON_SIZE_MAX = 200,
};

struct control_watch;
struct control_check;

struct provision_control {
    struct provision_service *service;
    struct ray_rpc_server *server;
    int dir_fd;    /* of the socket's folder, when its path is too long for an address */
    uid_t own_uid; /* of the service */
    struct control_watch *watches;
    size_t watch_count;
    struct control_check *check; /* the one that is going on; NULL none */
};

/* protobuf-c wants char *; nobody writes through it. */
char *control_text(const char *borrowed);
/* false: refused and answered. */
bool control_may_change(struct provision_control *control, struct ray_rpc_call *call);
/* Answers with the error, or for want of memory. The call is gone. */
void control_fail(struct ray_rpc_call *call, const struct ray_err *err);
void control_fail_memory(struct ray_rpc_call *call);
void control_done(struct ray_rpc_call *call, const char *text);
/* Who did it and why, for the log: a line for every change. */
void control_log(struct provision_control *control, const struct ray_rpc_call *call,
                 const char *what, const char *reason);
/* RAY_EINVAL: too long, or not printable ASCII. */
int control_check_reason(const char *reason, struct ray_err *err);
/* An image as operators name it, with what they can do when there is none. */
int control_find_image(struct provision_control *control, const char *text,
                       struct provision_store_image *out, struct ray_err *err);

/* ---- the methods: `run` of struct ray_rpc_method, `arg` is the control ---- */

void control_machines(struct ray_rpc_call *call, const ProtobufCMessage *input, void *arg);
void control_machine(struct ray_rpc_call *call, const ProtobufCMessage *input, void *arg);
void control_machine_set(struct ray_rpc_call *call, const ProtobufCMessage *input, void *arg);
void control_machine_forget(struct ray_rpc_call *call, const ProtobufCMessage *input, void *arg);
void control_groups(struct ray_rpc_call *call, const ProtobufCMessage *input, void *arg);
void control_group_set(struct ray_rpc_call *call, const ProtobufCMessage *input, void *arg);
void control_watch(struct ray_rpc_call *call, const ProtobufCMessage *input, void *arg);
void control_images(struct ray_rpc_call *call, const ProtobufCMessage *input, void *arg);
void control_image_add(struct ray_rpc_call *call, const ProtobufCMessage *input, void *arg);
void control_image_remove(struct ray_rpc_call *call, const ProtobufCMessage *input, void *arg);
void control_image_gc(struct ray_rpc_call *call, const ProtobufCMessage *input, void *arg);
void control_check(struct ray_rpc_call *call, const ProtobufCMessage *input, void *arg);

/* ---- control_encode.c: records as messages; NULL without memory ---- */

/* The decision of a record, which need not be the table's. */
void control_decide(struct provision_control *control, const struct provision_record *record,
                    const struct provision_assignment *group, struct provision_decision *out);
Rayos__Provision__Machine *control_encode_machine(struct provision_control *control,
                                                  struct ray_arena *arena,
                                                  const struct provision_record *record,
                                                  bool with_history);
Rayos__Provision__Assignment *
control_encode_assignment(struct ray_arena *arena, const struct provision_assignment *assignment);
void control_encode_event(Rayos__Provision__TimelineEvent *out,
                          const struct provision_record_event *event);

/* The machine that an operator means: by MAC, a name, or a unique beginning of a fingerprint of
 * at least 6 digits. */
int control_resolve(const struct provision_control *control, const char *text,
                    const struct provision_record **out, struct ray_err *err);

/* ---- control_change.c ---- */

/* One that waits until it is durable. */
struct control_change {
    struct provision_table_sync sync;
    struct provision_control *control;
    struct ray_rpc_call *call;
    void (*answer)(struct control_change *change);
    struct provision_mac mac;
    char group[PROVISION_RECORD_NAME_SIZE];
};

/* Before anything is changed: afterwards nothing may fail for want of memory. NULL without. */
struct control_change *control_change_make(struct provision_control *control,
                                           struct ray_rpc_call *call,
                                           void (*answer)(struct control_change *change));
/* Calls `answer` when all changes made so far are durable, perhaps at once; frees the change. */
void control_change_wait(struct control_change *change);

/* What a request says of an assignment, on top of what there is. A text that was not given
 * changes nothing. */
struct control_wishes {
    const Rayos__Provision__Text *boot;
    const Rayos__Provision__Text *image;
    const Rayos__Provision__Text *arguments;
};

bool control_wishes_any(const struct control_wishes *wishes);
/* RAY_EINVAL, RAY_ENOTFOUND, RAY_ECONFLICT: *io may be half merged then. */
int control_wishes_merge(struct provision_control *control, const struct control_wishes *wishes,
                         struct provision_assignment *io, struct ray_err *err);
/* A name of a machine or of a group; "" takes it away. */
int control_put_name(const char *name, char out[static PROVISION_RECORD_NAME_SIZE],
                     struct ray_err *err);

/* Ends a check that goes on without an answer. */
void control_check_abandon(struct provision_control *control);

#endif
