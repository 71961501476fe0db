/* clusterctl/policy/policy_file.h - rules as people write them (TOML) to rules as the cluster keeps
 * them, with every problem at its line and column.
 *
 * Memory: `out_rules` and the problems are the caller's; create nothing else.  Threads: any.
 * Blocks: never.  Trust: the text is hostile; what comes out was checked by coordinator/policy. */
#ifndef RAY_CLUSTERCTL_POLICY_POLICY_FILE_H
#define RAY_CLUSTERCTL_POLICY_POLICY_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/err.h"

enum {
    POLICY_FILE_SIZE_MAX = 1 << 20,
    POLICY_FILE_PROBLEMS_MAX = 64, /* that are kept; more are counted */
    POLICY_FILE_TEXT_SIZE = 256,
};

struct policy_file_problem {
    uint32_t line; /* from 1 */
    uint32_t column;
    char text[POLICY_FILE_TEXT_SIZE];
    char next_step[POLICY_FILE_TEXT_SIZE]; /* may be empty */
};

struct policy_file_problems {
    struct policy_file_problem list[POLICY_FILE_PROBLEMS_MAX]; /* in the order of the text */
    size_t count;
    size_t left_out;
};

/* RAY_OK: appends a packed rayos.policy.Policy to out_rules. RAY_EINVAL: there are problems.
 * RAY_ETOOBIG, RAY_ENOMEM: it was not looked at to the end; err says why. */
int policy_file_read(const char *text, size_t size, struct ray_buf *out_rules,
                     struct policy_file_problems *out_problems, struct ray_err *err);

#endif
