/* clusterctl/verbs/registry_kind.h - the kinds of objects as words.
 *
 * Memory: none.  Threads: any.  Blocks: never.  Trust: words are the user's. */
#ifndef RAY_CLUSTERCTL_VERBS_REGISTRY_KIND_H
#define RAY_CLUSTERCTL_VERBS_REGISTRY_KIND_H

#include "base/err.h"
#include "net/proto/registry.pb-c.h"

/* "all" is KIND_NONE. RAY_EUSAGE names those that there are. */
int registry_kind_parse(const char *name, Rayos__Registry__Kind *out, struct ray_err *err);
/* "?" for one of a newer version. */
const char *registry_kind_name(Rayos__Registry__Kind kind);

#endif
