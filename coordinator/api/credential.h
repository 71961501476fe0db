/* coordinator/api/credential.h - what a node is told before it has a cluster: join with this
 * token, or make a cluster for that admin.
 *
 * Lines of NAME=VALUE; '#' begins a comment line. A file that holds nothing but a token's text
 * joins with it, so that the answer of `clusterctl token create` is a credential as it is.
 *
 *   rayos.join=rayos-join-1.<...>
 *   rayos.create=name=demo admin=alice:<64 hex digits> timing=lan token=<64 hex digits>...
 *
 * Who joins with a replace-token=<64 hex digits> takes the place of the node that has its name.
 *
 * Memory: parse allocates the token; fini.  Threads: any.  Blocks: load, on the disk.
 * Trust: the text is hostile. Values are secret: errors do not quote them. */
#ifndef RAY_COORDINATOR_API_CREDENTIAL_H
#define RAY_COORDINATOR_API_CREDENTIAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "coordinator/fsm/registry.h"
#include "net/token.h"

enum {
    COORD_CREDENTIAL_SIZE_MAX = 16384,
    COORD_CREDENTIAL_TOKENS_MAX = 16,
};

enum coord_credential_kind {
    COORD_CREDENTIAL_NONE,
    COORD_CREDENTIAL_JOIN,
    COORD_CREDENTIAL_CREATE,
};

struct coord_credential {
    enum coord_credential_kind kind;
    struct ray_token *token; /* JOIN */
    /* CREATE */
    char name[COORD_NAME_SIZE];
    char admin[COORD_NAME_SIZE];
    uint8_t admin_key[COORD_KEY_SIZE];
    char timing[COORD_WORD_SIZE];
    uint8_t tokens[COORD_CREDENTIAL_TOKENS_MAX][RAY_TOKEN_VERIFIER_SIZE];
    bool takes_place[COORD_CREDENTIAL_TOKENS_MAX]; /* of whoever has the joiner's name */
    size_t token_count;
};

/* RAY_EMALFORMED with the line's number; *out is untouched then. Neither line: kind NONE. */
int coord_credential_parse(const char *text, size_t size, struct coord_credential *out,
                           struct ray_err *err);
int coord_credential_load(const char *path, struct coord_credential *out, struct ray_err *err);
void coord_credential_fini(struct coord_credential *credential); /* zeroed is fine */

#endif
