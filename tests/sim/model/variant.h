/* tests/sim/model/variant.h - the bad variants of research/grants.md and where each is found; the
 * setups in which the right wording must hold.
 *
 * Memory: constants.  Threads: any.  Blocks: never.  Trust: tests only. */
#ifndef RAY_TESTS_SIM_MODEL_VARIANT_H
#define RAY_TESTS_SIM_MODEL_VARIANT_H

#include <stddef.h>

#include "tests/sim/model/model.h"

extern const struct model_setup model_setups[];
extern const size_t model_setup_count;
extern const struct model_variant model_variants[];
extern const size_t model_variant_count;
extern const struct model_variant model_right;

/* NULL: none of that name. */
const struct model_setup *model_setup_find(const char *name);

#endif
