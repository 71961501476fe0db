/* node/hello/session.h - carries out the plan: posts, asks PID 1, waits.
 *
 * Memory: init/fini on caller memory; facts and paths are borrowed.
 * Threads: the loop's.  Blocks: never (connecting to PID 1 is local).
 * Trust: the server is hostile (net/http/client.h); of its answer only the status counts.
 * PID 1 is trusted. */
#ifndef RAY_NODE_HELLO_SESSION_H
#define RAY_NODE_HELLO_SESSION_H

#include "base/buf.h"
#include "base/err.h"
#include "base/log.h"
#include "base/loop.h"
#include "net/http/client.h"
#include "net/rpc.h"
#include "node/hello/body.h"
#include "node/hello/facts.h"
#include "node/hello/plan.h"

enum { HELLO_POST_TIMEOUT_MS = 10000, HELLO_ASK_TIMEOUT_MS = 5000 };

struct hello_session_config {
    struct ray_loop *loop;
    struct ray_logger *logger;
    struct ray_http_origin origin;
    const struct hello_facts *facts;
    const char *init_path; /* of PID 1's socket */
    void (*on_end)(void *arg, enum hello_end end);
    void *arg;
};

struct hello_session {
    struct hello_session_config config;
    struct hello_plan plan;
    struct ray_timer timer;
    struct ray_buf body;
    struct ray_http_client *http; /* NULL: no request is under way */
    struct ray_rpc_client *init;  /* NULL: not asking */
};

/* The first hello goes out at once; on_end follows from the loop. */
int hello_session_init(struct hello_session *session, const struct hello_session_config *config,
                       struct ray_err *err);
void hello_session_fini(struct hello_session *session); /* safe on zeroed, and before the end */

#endif
