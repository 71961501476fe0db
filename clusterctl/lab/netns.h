/* clusterctl/lab/netns.h - the namespaces of a lab: its own network, mounts and processes, and
 * as an ordinary user its own user namespace.
 *
 *     caller (forked, single thread)
 *       guardian: waits, hands signals on, ends as the lab's process ends
 *         pid 1 of the lab's process namespace: enter_new returns here
 *           switch, services, machines ...: all killed by the kernel when pid 1 ends
 *
 * Memory: none.  Threads: the calling process must have one thread only.
 * Blocks: the guardian for as long as the lab lives; else for the kernel only.
 * Trust: names and addresses come from the lab's own configuration. */
#ifndef RAY_LAB_NETNS_H
#define RAY_LAB_NETNS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"

enum ray_netns_user {
    RAY_NETNS_USER_AUTO, /* a user namespace when the caller has no CAP_SYS_ADMIN */
    RAY_NETNS_USER_ALWAYS,
};

struct ray_netns_config {
    enum ray_netns_user user;
    const char *host_name;   /* the end of the veth pair that services use: "lab0" */
    const char *switch_name; /* the end that the switch opens: "lab0sw" */
    const char *address;     /* of host_name: "10.77.0.1/24" */
    uint32_t mtu;            /* of both ends; 0: 1500 */
    /* A second pair, for a service that must not share the first one's ports; NULL: none.
     * Its address stands alone ("/32"): what is sent without a device goes by the first. */
    const char *second_host_name;
    const char *second_switch_name;
    const char *second_address;
};

struct ray_netns {
    pid_t pid; /* of the process that returned, as seen from outside */
    bool has_user_ns;
    bool has_private_proc; /* false: /proc shows the pids of outside (mount was refused) */
};

/* Returns in a new process, which is pid 1 of the lab's process namespace (it must reap orphans,
 * and gets only the signals that it handles), with lo and the veth pair up. The caller's
 * process becomes the guardian and never returns; it ends with the status of the new process
 * (128 + signal when that was killed), hands TERM, INT, HUP, QUIT, USR1 and USR2 on, and holds
 * no descriptor above 2. When the guardian dies the kernel kills the lab.
 *
 * On failure it returns in the calling process or, after the fork, in the new one; in either
 * the right thing is to report and exit. RAY_EDENIED has a next step in err. */
int ray_netns_enter_new(const struct ray_netns_config *config, struct ray_netns *out,
                        struct ray_err *err);

/* Moves this process into user, mount and network namespace of process `pid` (not its process
 * namespace); the working directory is looked up anew by its path. RAY_ENOTFOUND: no such
 * process. RAY_EDENIED: not ours. */
int ray_netns_join(pid_t pid, struct ray_err *err);

#endif
