/* coordinator/api/seeds.h - addresses at which a node that joins may find a member: a list without
 * doubles, in the order in which they are tried. They are hints: the handshake shows who answers.
 *
 * As text: one HOST:PORT a line, or several between commas; '#' begins a comment.
 *
 * Memory: the caller's struct.  Threads: any.  Blocks: load, on the disk.
 * Trust: the text is hostile. */
#ifndef RAY_COORDINATOR_API_SEEDS_H
#define RAY_COORDINATOR_API_SEEDS_H

#include <stddef.h>

#include "base/err.h"
#include "net/token.h"

#define MEMBER_SEEDS_FILE "seeds" /* below a member's data folder */

enum { MEMBER_SEEDS_MAX = 24, MEMBER_SEEDS_TEXT_SIZE_MAX = 4096 };

struct member_seeds {
    size_t count;
    char at[MEMBER_SEEDS_MAX][RAY_TOKEN_SEED_SIZE_MAX];
};

/* One that is there already is not added again. RAY_ETOOBIG: too long, or there are too many. */
int member_seeds_add(struct member_seeds *seeds, const char *address, struct ray_err *err);
/* All of the text, each an address in numbers. A wrong one is left out, and the first such is the
 * error: RAY_EINVAL, RAY_ETOOBIG. */
int member_seeds_parse(struct member_seeds *seeds, const char *text, size_t size,
                       struct ray_err *err);
/* The same of a file. RAY_ENOTFOUND. */
int member_seeds_load(struct member_seeds *seeds, const char *path, struct ray_err *err);

#endif
