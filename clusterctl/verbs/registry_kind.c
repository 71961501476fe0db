#include "clusterctl/verbs/registry_kind.h"

#include <string.h>

#include "base/size.h"

static const char *const kinds[] = {
    "all",   "cluster", "node",  "principal", "token",        "policy",    "network",
    "image", "volume",  "guest", "migration", "presentation", "operation", "event",
};

int registry_kind_parse(const char *name, Rayos__Registry__Kind *out, struct ray_err *err)
{
    for (size_t i = 0; i < RAY_ARRAY_COUNT(kinds); i++) {
        if (strcmp(name, kinds[i]) == 0) {
            *out = (Rayos__Registry__Kind)i;
            return RAY_OK;
        }
    }
    return ray_fail(
        err, RAY_EUSAGE,
        "no kind '%s'; kinds are all, cluster, node, principal, token, policy, network, "
        "image, volume, guest, migration, presentation, operation, event",
        name);
}

const char *registry_kind_name(Rayos__Registry__Kind kind)
{
    size_t index = (size_t)kind;

    return index > 0 && index < RAY_ARRAY_COUNT(kinds) ? kinds[index] : "?";
}
