/* Only in rayos-init-test, which only the test image has: ways to hurt PID 1 on purpose. */
#include <fcntl.h>
#include <unistd.h>

#include "base/clock.h"
#include "net/proto/init.pb-c.h"
#include "node/init/init.h"

enum { HANG_MS_MAX = 3600000 };

static void reply(struct ray_rpc_call *call)
{
    Rayos__Init__Done done = RAYOS__INIT__DONE__INIT;

    (void)ray_rpc_reply(call, &done.base); /* the peer may have left */
}

static bool refuse_others(struct ray_rpc_call *call)
{
    struct ray_err err = {0};

    if (ray_rpc_call_peer(call)->uid == 0) {
        return false;
    }
    (void)ray_fail(&err, RAY_EDENIED, "only root may do this");
    (void)ray_rpc_reply_err(call, &err); /* gone either way */
    return true;
}

/* The loop stands still, as after a bug: no watchdog feed, no reaping, no answer. */
static void run_hang(struct ray_rpc_call *call, const ProtobufCMessage *input, void *arg)
{
    struct init *init = arg;
    const Rayos__Init__TestHangRequest *request = (const Rayos__Init__TestHangRequest *)input;
    uint32_t ms = request->ms < HANG_MS_MAX ? request->ms : HANG_MS_MAX;

    if (refuse_others(call)) {
        return;
    }
    ray_log(&init->logger, RAY_LOG_WARN, "test", "the loop hangs for %u ms now", ms);
    reply(call);
    for (uint64_t end_ns = ray_clock_monotonic_ns() + ms * RAY_NS_PER_MS;
         ray_clock_monotonic_ns() < end_ns;) {
        (void)usleep(10000); /* SIGCHLD may cut it short */
    }
}

static void run_panic(struct ray_rpc_call *call, const ProtobufCMessage *input, void *arg)
{
    struct ray_err err = {0};
    int fd;

    (void)input;
    (void)arg;
    if (refuse_others(call)) {
        return;
    }
    fd = open("/proc/sysrq-trigger", O_WRONLY | O_CLOEXEC);
    if (fd >= 0 && write(fd, "c", 1) == 1) {
        reply(call); /* the kernel has panicked: not reached */
    } else {
        (void)ray_fail(&err, RAY_EIO, "sysrq-trigger does not take it");
        (void)ray_rpc_reply_err(call, &err); /* gone either way */
    }
    if (fd >= 0) {
        (void)close(fd);
    }
}

const struct ray_rpc_method *init_test_methods(void)
{
    static const struct ray_rpc_method methods[] = {
        {"init.test_hang", &rayos__init__test_hang_request__descriptor, run_hang},
        {"init.test_panic", &rayos__init__test_panic_request__descriptor, run_panic},
        {NULL, NULL, NULL},
    };

    return methods;
}
