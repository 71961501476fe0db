/* clusterctl/verbs/policy_source.h - rules from a file or from the cluster.
 *
 * Memory: buffers are the caller's.  Threads: one.  Blocks: on the disk, or until the member
 * answers. Trust: both are hostile; files are checked by clusterctl/policy, answers by
 * coordinator/policy. */
#ifndef RAY_CLUSTERCTL_VERBS_POLICY_SOURCE_H
#define RAY_CLUSTERCTL_VERBS_POLICY_SOURCE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/args.h"
#include "base/buf.h"
#include "base/err.h"
#include "coordinator/policy/policy_api.h"

enum {
    POLICY_SOURCE_SIZE_MAX = 512 << 10, /* packed, as they come */
    POLICY_SOURCE_TEXT_SIZE_MAX = 4 << 20,
};

/* Packed rules out of a TOML file. RAY_EINVAL: each problem was printed on stderr, as
 * "FILE:LINE:COLUMN: text". */
int policy_source_file(const char *path, struct ray_buf *out_rules, struct ray_err *err);

/* Those of a version, 0: in force. RAY_ENOTFOUND. */
int policy_source_cluster(const struct ray_args *args, uint64_t version, struct ray_buf *out_rules,
                          uint64_t *out_version, struct ray_err *err);

/* "3" is a version, everything else a file. */
bool policy_source_is_version(const char *text, uint64_t *out_version);

/* Rules as TOML. */
int policy_source_print(const struct ray_buf *rules, struct ray_buf *out_text, struct ray_err *err);

#endif
