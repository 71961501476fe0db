/* clusterctl/lab/cluster.h - how the nodes of a lab become one cluster: what the first one is told
 * to create, tokens for the others, and what their markers say of the outcome.
 *
 * The first node's credential holds the hashes of all tokens that the lab will ever need: one for
 * each other node, one for operators, the rest for machines that are wiped. So no machine has to be
 * asked for one.
 * Memory: init and fini; tokens are wiped.  Threads: one owner.  Blocks: never.
 * Trust: ours; markers come from the machines. */
#ifndef RAY_CLUSTERCTL_LAB_CLUSTER_H
#define RAY_CLUSTERCTL_LAB_CLUSTER_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"
#include "clusterctl/lab/config.h"
#include "clusterctl/lab/markers.h"
#include "net/key.h"
#include "net/token.h"

enum {
    LAB_CLUSTER_TOKEN_COUNT = 16, /* as many as rayos.create takes */
    LAB_CLUSTER_JOIN_COUNT = LAB_CLUSTER_TOKEN_COUNT - 1,
    LAB_CLUSTER_TEXT_SIZE_MAX = 8192,
};

#define LAB_CLUSTER_ADMIN "lab" /* the principal whose key lies in the lab's folder */
#define LAB_CREDENTIAL_CREATE "rayos.create"
#define LAB_CREDENTIAL_JOIN "rayos.join"

struct lab_cluster {
    uint32_t node_count;
    struct ray_token *tokens[LAB_CLUSTER_TOKEN_COUNT]; /* NULL: used up; the last: of operators */
};

int lab_cluster_init(struct lab_cluster *cluster, const struct lab_config *config,
                     struct ray_err *err);
void lab_cluster_fini(struct lab_cluster *cluster); /* zeroed is fine */

/* The value of rayos.create; `name` is the lab's. Before any token is used. */
int lab_cluster_create_text(const struct lab_cluster *cluster, const char *name, const char *timing,
                            const uint8_t admin[static RAY_KEY_SIZE], struct ray_buf *out,
                            struct ray_err *err);
/* The value of rayos.join for machine `index`: uses one token up. `is_first`: at the lab's start,
 * when only the first machine can let others in. RAY_ENOTFOUND: none is left. */
int lab_cluster_join_text(struct lab_cluster *cluster, size_t index, bool is_first,
                          struct ray_buf *out, struct ray_err *err);

/* The token that is never used up, with addresses of the lab's machines: by it an operator's first
 * contact knows the cluster. */
int lab_cluster_contact_text(const struct lab_cluster *cluster, struct ray_buf *out,
                             struct ray_err *err);

/* How many voters so many nodes come to. */
uint32_t lab_cluster_voters(uint32_t node_count);
/* What the machine said last in this boot; 0: it has heard no quorum. */
uint32_t lab_cluster_heard(const struct lab_markers *markers, uint32_t boot);

#endif
