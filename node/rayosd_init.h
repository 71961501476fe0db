/* node/rayosd_init.h - asks PID 1 how it is (init.status), for what rayosd tells of the node.
 *
 * Memory: the owner destroys an ask, also from within its callback.  Threads: the loop's.
 * Blocks: never.  Trust: the answer is PID 1's, checked by net/rpc. */
#ifndef RAY_NODE_RAYOSD_INIT_H
#define RAY_NODE_RAYOSD_INIT_H

#include <stdint.h>

#include "base/err.h"
#include "base/loop.h"
#include "net/proto/init.pb-c.h"

enum { RAYOSD_INIT_TIMEOUT_MS = 2000 };

struct rayosd_init_ask;

/* `status` NULL: it did not answer, `why` says why. */
typedef void rayosd_init_status(void *arg, const Rayos__Init__Status *status, const char *why);

/* `on_status` comes once, from the loop; timeout_ms 0: RAYOSD_INIT_TIMEOUT_MS, which is the most,
 * too. */
int rayosd_init_ask(struct rayosd_init_ask **out_ask, struct ray_loop *loop, const char *init_path,
                    uint64_t timeout_ms, rayosd_init_status *on_status, void *arg,
                    struct ray_err *err);
/* Then on_status does not come any more. NULL is fine. */
void rayosd_init_ask_destroy(struct rayosd_init_ask *ask);

#endif
