/* policy_fuzz.c - rules of a stranger: what is accepted can be asked and printed. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "coordinator/policy/policy.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct coord_policy_label label = {"env", "test", 4};
    static const struct coord_policy_actor actor = {"principal", "ann", COORD_POLICY_OPERATOR};
    static const struct coord_policy_object object = {"guest", "web-1", &label, 1, "n1", 2, 512, 0};
    struct coord_policy *policy;
    struct ray_buf out;

    if (coord_policy_create(data, size, &policy, NULL) != RAY_OK) {
        return 0;
    }
    for (int i = 0; i < COORD_POLICY_ACTION_COUNT; i++) {
        enum coord_policy_action action = (enum coord_policy_action)i;
        struct coord_policy_decision decision =
            coord_policy_decide(policy, &actor, action, &object);

        assert(decision.rule <= coord_policy_rule_count(policy));
        for (uint32_t rule = 1; rule < decision.rule; rule++) {
            assert(coord_policy_mismatch(policy, rule, &actor, action, &object) != NULL);
        }
    }
    ray_buf_init(&out, 4 * (size_t)COORD_POLICY_SIZE_MAX);
    assert(coord_policy_print(policy, &out, NULL) == RAY_OK);
    ray_buf_fini(&out);
    coord_policy_destroy(policy);
    return 0;
}
