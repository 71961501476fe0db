/* tests/agent/exec.h - commands that the host has asked for, several at once.
 *
 * Memory: init/fini on caller memory; fini kills what still runs.  Threads: the loop's.
 * Blocks: never (output waits in its pipe while the port is full).  Trust: the host may run
 * anything: that is the purpose, and why only the test image has an agent. */
#ifndef RAY_TESTS_AGENT_EXEC_H
#define RAY_TESTS_AGENT_EXEC_H

#include "base/err.h"
#include "base/loop.h"
#include "net/proto/agent.pb-c.h"
#include "tests/agent/port.h"

enum { EXEC_COUNT_MAX = 32 };

struct exec; /* one running command */

struct execs {
    struct ray_loop *loop;
    struct port *port;
    struct exec *running[EXEC_COUNT_MAX];
    void (*on_idle)(void *arg); /* of execs_terminate; NULL: not asked for */
    void *idle_arg;
};

void execs_init(struct execs *execs, struct ray_loop *loop, struct port *port);
void execs_fini(struct execs *execs);
/* Starts it; its answers go to the port. An error means that nothing was started. */
int execs_start(struct execs *execs, uint64_t id, const Rayos__Agent__Exec *request,
                struct ray_err *err);
void execs_kill(struct execs *execs, uint64_t id);
void execs_forget(struct execs *execs); /* kills all; they answer no more */
/* Asks all to end (SIGTERM); on_idle is called when none is left, at once when none is now. */
void execs_terminate(struct execs *execs, void (*on_idle)(void *arg), void *arg);
void execs_resume(struct execs *execs); /* the port has room again */

#endif
