/* node/rayosd_methods.h - what rayosd answers on its socket (net/proto/node.proto, and
 * net/proto/cluster.proto by coordinator/api).
 *
 * Memory: the context is the caller's and outlives the server; each call frees what it took.
 * Threads: the loop's.  Blocks: as node/facts and node/health do.
 * Trust: callers are any user of this node; requests have no content to trust. */
#ifndef RAY_NODE_RAYOSD_METHODS_H
#define RAY_NODE_RAYOSD_METHODS_H

#include "base/arena.h"
#include "base/loop.h"
#include "coordinator/api/member_api.h"
#include "net/rpc.h"
#include "node/health/health.h"

enum { RAYOSD_METHODS_MAX = COORD_MEMBER_METHODS_MAX + 8 };

struct rayosd_context {
    struct ray_loop *loop;
    int root_fd;                 /* borrowed */
    const char *init_path;       /* PID 1's socket; borrowed */
    struct coord_member *member; /* borrowed; NULL: this node takes part in no cluster */
    struct ray_arena arena;      /* of the answer being made */
    struct ray_rpc_method methods[RAYOSD_METHODS_MAX];
};

void rayosd_context_init(struct rayosd_context *context, struct ray_loop *loop, int root_fd,
                         const char *init_path);
void rayosd_context_fini(struct rayosd_context *context);

/* How this node is. `status` is what PID 1 says; NULL: it does not, and `why` says why not. The
 * health lies in the context's arena, until the next answer. */
int rayosd_judge(struct rayosd_context *context, const Rayos__Init__Status *status, const char *why,
                 struct health_input *out_input, Rayos__Node__Health **out_health,
                 struct ray_err *err);

/* For ray_rpc_server_create_*, whose arg is the context, which holds the table. */
const struct ray_rpc_method *rayosd_methods(struct rayosd_context *context);

#endif
