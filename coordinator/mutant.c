/* The list as a table, and in mutant builds the one that is on. */
#include "coordinator/mutant.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static const struct ray_mutant_info infos[RAY_MUTANT_COUNT] = {
    [RAY_MUTANT_NONE] = {.name = "NONE", .text = "", .checker = ""},
#define RAY_MUTANT_ROW(mutant, what, who)                                                          \
    [RAY_MUTANT_##mutant] = {.name = #mutant, .text = (what), .checker = (who)},
    RAY_MUTANT_MAP(RAY_MUTANT_ROW)
#undef RAY_MUTANT_ROW
};

const struct ray_mutant_info *ray_mutant_info(enum ray_mutant mutant)
{
    assert(mutant > RAY_MUTANT_NONE && mutant < RAY_MUTANT_COUNT);
    return &infos[mutant];
}

int ray_mutant_find(const char *name, enum ray_mutant *out, struct ray_err *err)
{
    assert(name != NULL && out != NULL);
    for (int i = RAY_MUTANT_NONE; i < RAY_MUTANT_COUNT; i++) {
        if (strcmp(infos[i].name, name) == 0) {
            *out = (enum ray_mutant)i;
            return RAY_OK;
        }
    }
    return ray_fail(err, RAY_EINVAL, "no mutant is named '%s'", name);
}

#ifdef RAY_MUTANTS
/* The one mutable variable of the coordinator, and only of this build: a guard deep in a pure
 * function has no way to be told. Set before threads begin. */
static enum ray_mutant selected;

bool ray_mutant_is(enum ray_mutant mutant)
{
    return selected == mutant;
}

int ray_mutant_select(enum ray_mutant mutant, struct ray_err *err)
{
    (void)err;
    assert(mutant >= RAY_MUTANT_NONE && mutant < RAY_MUTANT_COUNT);
    selected = mutant;
    return RAY_OK;
}
#else
int ray_mutant_select(enum ray_mutant mutant, struct ray_err *err)
{
    assert(mutant >= RAY_MUTANT_NONE && mutant < RAY_MUTANT_COUNT);
    if (mutant == RAY_MUTANT_NONE) {
        return RAY_OK;
    }
    return ray_fail(err, RAY_EUNSUPPORTED, "this build has no mutants; next: preset mutants");
}
#endif

int ray_mutant_from_env(struct ray_err *err)
{
    const char *name = getenv("RAYOS_MUTANT");
    enum ray_mutant mutant;

    if (name == NULL) {
        return RAY_OK;
    }
    int rc = ray_mutant_find(name, &mutant, err);

    return rc != RAY_OK ? rc : ray_mutant_select(mutant, err);
}
