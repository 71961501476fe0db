#include <assert.h>
#include <string.h>

#include "coordinator/policy/policy.h"

struct row {
    const char *text;
    const char *object;
    bool is_read;
};

static const struct row rows[COORD_POLICY_ACTION_COUNT] = {
#define ROW(name, text, object, is_read) {text, object, is_read},
    COORD_POLICY_ACTION_MAP(ROW)
#undef ROW
};

uint32_t coord_policy_action_level(enum coord_policy_action action)
{
    (void)action; /* none has come later */
    return 1;
}

int coord_policy_action_find(const char *text, enum coord_policy_action *out, struct ray_err *err)
{
    for (int i = 0; i < COORD_POLICY_ACTION_COUNT; i++) {
        if (strcmp(rows[i].text, text) == 0) {
            *out = (enum coord_policy_action)i;
            return RAY_OK;
        }
    }
    (void)ray_fail(err, RAY_ENOTFOUND, "there is no action '%.64s'", text);
    (void)ray_next(err, "docs/reference/policy.md lists them all");
    return RAY_ENOTFOUND;
}

const char *coord_policy_action_text(enum coord_policy_action action)
{
    assert((unsigned)action < COORD_POLICY_ACTION_COUNT);
    return rows[action].text;
}

const char *coord_policy_action_object(enum coord_policy_action action)
{
    assert((unsigned)action < COORD_POLICY_ACTION_COUNT);
    return rows[action].object;
}

bool coord_policy_action_is_read(enum coord_policy_action action)
{
    assert((unsigned)action < COORD_POLICY_ACTION_COUNT);
    return rows[action].is_read;
}

const char *coord_policy_effect_text(enum coord_policy_effect effect)
{
    switch (effect) {
    case COORD_POLICY_ALLOW:
        return "allow";
    case COORD_POLICY_DENY:
        return "deny";
    case COORD_POLICY_ASK:
        return "ask";
    }
    assert(false);
    return "";
}
