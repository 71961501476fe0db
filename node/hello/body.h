/* node/hello/body.h - a hello as JSON: docs/reference/hello.md.
 *
 * Memory: the buffer is the caller's.  Threads: any.  Blocks: never.  Trust: facts.h. */
#ifndef RAY_NODE_HELLO_BODY_H
#define RAY_NODE_HELLO_BODY_H

#include "base/buf.h"
#include "base/err.h"
#include "node/hello/facts.h"
#include "node/hello/plan.h"

enum { HELLO_VERSION = 1, HELLO_BODY_SIZE_MAX = 16384 };

/* Replaces what is in `out`, which allows HELLO_BODY_SIZE_MAX. RAY_ENOMEM, RAY_ETOOBIG. */
int hello_body_write(const struct hello_facts *facts, enum hello_phase phase, struct ray_buf *out,
                     struct ray_err *err);

#endif
