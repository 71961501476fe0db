/* node/init/member.h - what rayosd is started with, so that this node is or becomes a member of a
 * cluster: its port, its name, and a credential where the machine has one.
 *
 *   SMBIOS rayos.create | rayos.join ──▶ /run/rayos/member/credential (0400) ──▶ rayosd
 *   identity/node.key: PID 1's, and rayosd's group may read it
 *
 * Order of discovery (DESIGN.md section 11): a membership on the data disk wins over a credential;
 * the seeds of the credential are tried first, then those of the file `seeds` on the data disk,
 * then those of the command line. rayosd sees to that. Without either the node is unclaimed and
 * serves. A node without a data disk joins for this boot only, and makes no cluster.
 *
 * Memory: the struct owns its texts; argv points into it.  Threads: prepare on a boot thread, the
 * rest on the loop, after it.  Blocks: on the disk.
 * Trust: credentials are whoever makes the machine's; their values are secrets. */
#ifndef RAY_NODE_INIT_MEMBER_H
#define RAY_NODE_INIT_MEMBER_H

#include <stdbool.h>

#include "base/err.h"
#include "base/log.h"
#include "net/port.h"
#include "node/init/system/identity.h"
#include "node/init/system/smbios.h"

#define INIT_MEMBER_LISTEN "[::]:" RAY_CLUSTER_PORT /* and all of IPv4 */
#define INIT_MEMBER_FOLDER "run/rayos/member"
#define INIT_MEMBER_CREDENTIAL_FILE INIT_MEMBER_FOLDER "/credential"

enum {
    INIT_MEMBER_ARGC_MAX = 20,
    INIT_MEMBER_DOMAIN_SIZE_MAX = 64,
    INIT_MEMBER_METRICS_SIZE_MAX = 64,
    INIT_MEMBER_SEEDS_SIZE_MAX = 512,
};

struct init_member {
    bool takes_part;     /* else rayosd only says what this node is and how it is */
    bool has_credential; /* the file is there */
    bool is_ephemeral;   /* no data disk: a member for this boot only */
    char name[INIT_IDENTITY_NAME_SIZE_MAX];
    char domain[INIT_MEMBER_DOMAIN_SIZE_MAX];   /* "": the node is its own */
    char metrics[INIT_MEMBER_METRICS_SIZE_MAX]; /* where numbers are shown; "": nowhere */
    char seeds[INIT_MEMBER_SEEDS_SIZE_MAX];     /* where members may be; "": nowhere */
    const char *argv[INIT_MEMBER_ARGC_MAX];
};

struct init_member_inputs {
    int root_fd;
    int data_fd;
    bool is_disk;     /* the data folder outlives this boot */
    bool sets_owners; /* false in tests without root */
    const struct init_identity *identity;
    struct init_credentials *credentials; /* what was written to the file is forgotten */
    const char *seeds;                    /* rayos.seed= of the command line; NULL: none */
    struct ray_logger *logger;
};

/* Gives rayosd's user what it needs, and no more. *out is whole also after a failure: then the
 * node takes no part. */
int init_member_prepare(const struct init_member_inputs *inputs, struct init_member *out,
                        struct ray_err *err);

/* This node has heard a quorum: a credential has had its say, and is wiped. */
void init_member_settled(struct init_member *member, int root_fd);

/* Of rayosd; NULL-terminated. */
const char *const *init_member_argv(const struct init_member *member);

#endif
