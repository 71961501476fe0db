/* clusterctl/context/context.h - where a cluster is and how it is known: what an operator's
 * program needs to call one that this machine is not a node of.
 *
 * One context is one JSON file (docs/reference/contexts.md). It holds no secret: the operator's
 * key lies in a file of its own, which it names.
 * Memory: plain structs.  Threads: any.  Blocks: never.
 * Trust: the text is hostile until it is parsed; so is what a member says. */
#ifndef RAY_CLUSTERCTL_CONTEXT_CONTEXT_H
#define RAY_CLUSTERCTL_CONTEXT_CONTEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/id.h"
#include "net/key.h"
#include "net/proto/cluster.pb-c.h"

enum {
    CONTEXT_NAME_SIZE = 64,     /* with its NUL; of a-z, A-Z, 0-9, '.', '_' and '-' */
    CONTEXT_ADDRESS_SIZE = 128, /* "host:port" in numbers */
    CONTEXT_PATH_SIZE = 512,
    CONTEXT_MEMBERS_MAX = 32,
    CONTEXT_SIZE_MAX = 32768, /* of the text */
};

/* A link is opened to that address and to no other key. */
struct context_member {
    char address[CONTEXT_ADDRESS_SIZE];
    uint8_t identity[RAY_KEY_SIZE];
    uint8_t link_key[RAY_KEY_SIZE];
};

struct context {
    char name[CONTEXT_NAME_SIZE];
    char cluster[CONTEXT_NAME_SIZE]; /* its name, for people */
    struct ray_id cluster_id;
    char key_path[CONTEXT_PATH_SIZE];                   /* absolute; "": the operator's usual key */
    size_t member_count;                                /* at least 1 */
    struct context_member members[CONTEXT_MEMBERS_MAX]; /* the one that answered last is first */
};

bool context_is_name(const char *name);

/* RAY_EMALFORMED: what is wrong; *out is untouched then. */
int context_parse(const char *text, size_t size, struct context *out, struct ray_err *err);
/* Memory of malloc, ends with a line end. RAY_ENOMEM. */
int context_format(const struct context *context, char **out_text, size_t *out_size,
                   struct ray_err *err);

/* Cluster and members as a member names them; `context` is of no cluster yet, or of the same one,
 * and keeps its order. Members that are not named any more are dropped. RAY_EMALFORMED;
 * RAY_EDENIED: it is another cluster. Untouched then. *out_is_new: it has changed. */
int context_take(struct context *context, const Rayos__Cluster__Joined *joined, bool *out_is_new,
                 struct ray_err *err);
/* That member is asked first from now on. true: it was not so before. */
bool context_prefer(struct context *context, size_t index);

/* One name, or 8 words in any case and with any space or hyphen between them: whether they are
 * this cluster's fingerprint. RAY_EINVAL, RAY_EDENIED. */
int context_check_words(const struct context *context, const char *words, struct ray_err *err);

#endif
