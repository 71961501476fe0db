#include "node/init/services.h"

#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/size.h"
#include "node/init/provision.h"
#include "node/init/system/net_setup.h"

#define CAP(name) (UINT64_C(1) << (name))
#define MIB(count) (UINT64_C(count) << 20)

enum { HELLO_ID = 904 };

static const char *const rayosd_argv[] = {"/usr/lib/rayos/rayosd", NULL}; /* more: member.h */
static const char *const hello_argv[] = {"/usr/lib/rayos/rayos-hello", NULL};
static const char *const provision_argv[] = {"/usr/lib/rayos/rayos-provision", "serve", "--config",
                                             INIT_PROVISION_CONFIG_PATH, NULL};
static const char *const test_agent_argv[] = {"/usr/lib/rayos/rayos-test-agent", NULL};

static const struct ray_child_rlimit no_core[] = {{RLIMIT_CORE, {0, 0}}};
static const struct ray_child_rlimit many_files[] = {
    {RLIMIT_CORE, {0, 0}},
    {RLIMIT_NOFILE, {65536, 65536}},
};

static const struct service_def table[] = {
    {
        .name = "test-agent",
        .argv = test_agent_argv,
        .is_optional = true, /* only in the test image */
        .waits_for_notify = true,
        .restart = SUPERVISE_RESTART_ALWAYS,
        .stop_deadline_ms = 2000,
        .slow_retry_ms = 10000,
        .keeps_all_caps = true, /* it runs the commands of tests, as root */
        .oom_score_adj = "-500",
        .limits = {.pids_max = 4096}, /* out of memory kills the command, not the agent */
    },
    {
        .name = "dhcp",
        .argv = init_net_dhcp_argv,
        .conditions = SERVICE_WHEN_BRIDGE,
        .restart = SUPERVISE_RESTART_ALWAYS,
        .stop_deadline_ms = 3000,
        .slow_retry_ms = 60000,
        .keep_caps = CAP(CAP_NET_ADMIN) | CAP(CAP_NET_RAW) | CAP(CAP_NET_BIND_SERVICE) |
                     CAP(CAP_SETUID) | CAP(CAP_SETGID) | CAP(CAP_SYS_CHROOT) | CAP(CAP_KILL) |
                     CAP(CAP_CHOWN) | CAP(CAP_DAC_OVERRIDE),
        .oom_score_adj = "-500",
        .rlimits = no_core,
        .rlimit_count = RAY_ARRAY_COUNT(no_core),
        .limits = {.memory_max_bytes = MIB(32), .pids_max = 32, .kills_whole_group = true},
    },
    {
        .name = "time",
        .argv = init_net_time_argv,
        .conditions = SERVICE_WHEN_NTP,
        .restart = SUPERVISE_RESTART_ALWAYS,
        .stop_deadline_ms = 3000,
        .slow_retry_ms = 60000,
        .keep_caps = CAP(CAP_SYS_TIME) | CAP(CAP_SETUID) | CAP(CAP_SETGID) | CAP(CAP_DAC_OVERRIDE) |
                     CAP(CAP_CHOWN) | CAP(CAP_NET_BIND_SERVICE),
        .oom_score_adj = "-500",
        .rlimits = no_core,
        .rlimit_count = RAY_ARRAY_COUNT(no_core),
        .limits = {.memory_max_bytes = MIB(32), .pids_max = 16, .kills_whole_group = true},
    },
    {
        .name = "rayosd",
        .argv = rayosd_argv,
        .conditions = SERVICE_WHEN_IDENTITY,
        .listens = "node.sock",
        .waits_for_notify = true,
        .needed_for_ready = true,
        .restart = SUPERVISE_RESTART_ALWAYS,
        .ready_deadline_ms = 60000, /* emulated machines are slow */
        .watchdog_ms = 60000,
        .stop_deadline_ms = 10000,
        .slow_retry_ms = 60000,
        .has_ids = true,
        .uid = RAYOSD_ID,
        .gid = RAYOSD_ID,
        .keeps_fds = true,
        .oom_score_adj = "-900",
        .rlimits = many_files,
        .rlimit_count = RAY_ARRAY_COUNT(many_files),
        .limits = {.memory_low_bytes = MIB(64),
                   .pids_max = 256,
                   .cpu_weight = 1000,
                   .kills_whole_group = true},
    },
    {
        .name = "hello", /* says its word and is done */
        .argv = hello_argv,
        .conditions = SERVICE_WHEN_ADDRESS | SERVICE_WHEN_IDENTITY,
        .restart = SUPERVISE_RESTART_ON_FAILURE,
        .stop_deadline_ms = 1000,
        .has_ids = true,
        .uid = HELLO_ID,
        .gid = HELLO_ID,
        .oom_score_adj = "500",
        .rlimits = no_core,
        .rlimit_count = RAY_ARRAY_COUNT(no_core),
        .limits = {.memory_max_bytes = MIB(32), .pids_max = 4, .kills_whole_group = true},
    },
    {
        .name = "provision",
        .argv = provision_argv,
        .conditions = SERVICE_WHEN_BRIDGE | SERVICE_WHEN_PROVISION,
        .listens = "provision.sock",
        .is_optional = true,
        .waits_for_notify = true,
        .restart = SUPERVISE_RESTART_ALWAYS,
        .ready_deadline_ms = 60000, /* it hashes an image when it is told to import one */
        .stop_deadline_ms = 5000,
        .slow_retry_ms = 60000,
        .has_ids = true,
        .uid = INIT_PROVISION_ID,
        .gid = INIT_PROVISION_ID,
        .keep_caps = CAP(CAP_NET_ADMIN) | CAP(CAP_NET_RAW) | CAP(CAP_NET_BIND_SERVICE),
        .keeps_fds = true,
        .oom_score_adj = "0",
        .rlimits = many_files,
        .rlimit_count = RAY_ARRAY_COUNT(many_files),
        .limits = {.memory_max_bytes = MIB(256), .pids_max = 64, .kills_whole_group = true},
    },
};

const struct service_def *services_table(size_t *out_count)
{
    *out_count = RAY_ARRAY_COUNT(table);
    return table;
}

uint64_t services_memory_low_bytes(const struct service_def *services, size_t count)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < count; i++) {
        sum += services[i].limits.memory_low_bytes;
    }
    return sum;
}

static bool program_exists(const char *root, const char *path)
{
    char full[512];
    int size = snprintf(full, sizeof full, "%s%s", root, path);

    return size > 0 && (size_t)size < sizeof full && access(full, X_OK) == 0;
}

static int find(const struct service_def *services, size_t count, const char *name,
                size_t *out_index)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(services[i].name, name) == 0) {
            *out_index = i;
            return RAY_OK;
        }
    }
    return RAY_ENOTFOUND;
}

int services_specs(const struct service_def *services, size_t count, const char *root,
                   struct supervise_spec *specs, struct ray_err *err)
{
    if (count > SUPERVISE_SERVICE_COUNT_MAX) {
        return ray_fail(err, RAY_EINVAL, "%zu services, at most %d", count,
                        SUPERVISE_SERVICE_COUNT_MAX);
    }
    for (size_t i = 0; i < count; i++) {
        const struct service_def *service = &services[i];
        specs[i] = (struct supervise_spec){
            .name = service->name,
            .conditions = service->conditions,
            .is_absent = service->is_optional && !program_exists(root, service->argv[0]),
            .waits_for_notify = service->waits_for_notify,
            .needed_for_ready = service->needed_for_ready,
            .restart = service->restart,
            .ready_deadline_ms = service->ready_deadline_ms,
            .stop_deadline_ms = service->stop_deadline_ms,
            .watchdog_ms = service->watchdog_ms,
            .slow_retry_ms = service->slow_retry_ms,
        };
        for (size_t d = 0; d < SERVICE_DEP_COUNT_MAX && service->deps[d] != NULL; d++) {
            size_t dep;
            if (find(services, count, service->deps[d], &dep) != RAY_OK) {
                return ray_fail(err, RAY_EINVAL, "service %s depends on %s, which is not there",
                                service->name, service->deps[d]);
            }
            specs[i].deps |= UINT32_C(1) << dep;
        }
    }
    return RAY_OK;
}
