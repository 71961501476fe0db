/* coordinator/api/member_fixture.h - one member with its disk in a temporary folder, served on a
 * Unix socket, and a client, all on one loop. For tests and the fuzz target.
 *
 * Memory: open and close.  Threads: the test's, and the disk's.  Blocks: in run and call.
 * Trust: none. */
#ifndef RAY_COORDINATOR_API_MEMBER_FIXTURE_H
#define RAY_COORDINATOR_API_MEMBER_FIXTURE_H

#include "coordinator/api/impl.h"

enum { MEMBER_FIX_PATH_SIZE = 128, MEMBER_FIX_WAIT_MS = 60000, MEMBER_FIX_ORDER_SIZE = 256 };

struct member_fix {
    struct ray_loop loop;
    const char *name;      /* of the node; set after open: another than the usual one */
    struct ray_timer late; /* ends run */
    bool is_late;
    char dir[MEMBER_FIX_PATH_SIZE];
    char credential[MEMBER_FIX_PATH_SIZE]; /* a file, when start has a text for it */
    struct coord_member *member;
    struct ray_rpc_server *server;
    struct ray_rpc_client *client;
    bool has_failed;
    bool has_left;
    size_t quorum;                     /* voters, as last told */
    size_t order_count;                /* that this machine was given */
    char order[MEMBER_FIX_ORDER_SIZE]; /* the last: "PRINCIPAL REQUEST REASON" */
    unsigned denied_count;
    char denied[192]; /* "RULE:DETAIL", the last */
};

/* How a call went. */
struct member_fix_outcome {
    bool has_ended;
    int code;
    char text[RAY_ERR_TEXT_SIZE];
    size_t item_count;
};

void member_fix_open(struct member_fix *fix);
void member_fix_open_at(struct member_fix *fix, const char *dir); /* another process's */
void member_fix_close(struct member_fix *fix); /* also stops; removes the folder */
/* A process starts: member, server, client. `credential` may be NULL. */
int member_fix_start(struct member_fix *fix, const char *credential, struct ray_err *err);
/* Another connection in place of the client's. */
int member_fix_connect(struct member_fix *fix, struct ray_err *err);
/* It ends at once: nothing is handed over or vouched for. */
void member_fix_crash(struct member_fix *fix);
/* A clean stop. */
void member_fix_stop(struct member_fix *fix);

/* Turns the loop until that is so; false: not within MEMBER_FIX_WAIT_MS. */
bool member_fix_run(struct member_fix *fix, bool (*is_done)(void *arg), void *arg);
bool member_fix_has_cluster(void *fix); /* for run */
bool member_fix_has_ended(void *outcome);
/* Calls and waits; its code. `output` of the end, `item` may be NULL. */
int member_fix_call(struct member_fix *fix, const char *method, const ProtobufCMessage *input,
                    const ProtobufCMessageDescriptor *item,
                    const ProtobufCMessageDescriptor *output, struct member_fix_outcome *out);
/* cluster.create by the socket; the admin's key is all ones. */
void member_fix_create_cluster(struct member_fix *fix);
/* registry.propose; its code. */
int member_fix_propose(struct member_fix *fix, Rayos__Registry__Command *command);
/* One entry: a label of this node. Its code. */
int member_fix_label(struct member_fix *fix, const char *value);
/* A path below the data folder. */
const char *member_fix_path(const struct member_fix *fix, const char *name,
                            char out[static MEMBER_FIX_PATH_SIZE]);

#endif
