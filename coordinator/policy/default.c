/* default.c - what a new cluster allows. Guests reach no network and no device, and no display
 * shows them, until somebody with the right writes a rule that says so. */
#include "coordinator/policy/policy.h"
#include "net/proto/policy.pb-c.h"

enum { PATTERNS_MAX = 8 };

struct row {
    const char *name;
    Rayos__Policy__Effect effect;
    const char *who;
    const char *actions[PATTERNS_MAX];
    const char *objects[PATTERNS_MAX];
    const char *reason;
};

static const struct row rows[] = {
    {
        .name = "no-guest-network",
        .effect = RAYOS__POLICY__EFFECT__EFFECT_DENY,
        .actions = {"guest.network"},
        .reason = "guests have no network until a rule before this one allows it",
    },
    {
        .name = "no-devices",
        .effect = RAYOS__POLICY__EFFECT__EFFECT_DENY,
        .actions = {"guest.device"},
        .reason = "no device of a node is given to a guest until a rule before this one allows it",
    },
    {
        .name = "nothing-presented",
        .effect = RAYOS__POLICY__EFFECT__EFFECT_DENY,
        .actions = {"guest.present", "guest.input"},
        .reason = "no guest is on a display until a rule before this one allows it",
    },
    {
        .name = "admins",
        .effect = RAYOS__POLICY__EFFECT__EFFECT_ALLOW,
        .who = "role:admin",
        .actions = {"*"},
    },
    {
        .name = "operators",
        .effect = RAYOS__POLICY__EFFECT__EFFECT_ALLOW,
        .who = "role:operator",
        .actions = {"guest.*", "volume.*", "image.*", "node.drain", "node.reboot", "node.log",
                    "registry.read"},
    },
    {
        /* Labels of nodes and principals are what rules go by. */
        .name = "operators-label",
        .effect = RAYOS__POLICY__EFFECT__EFFECT_ALLOW,
        .who = "role:operator",
        .actions = {"registry.label"},
        .objects = {"guest:*", "volume:*", "image:*", "network:*"},
    },
    {
        .name = "viewers",
        .effect = RAYOS__POLICY__EFFECT__EFFECT_ALLOW,
        .who = "role:viewer",
        .actions = {"registry.read", "node.log"},
    },
};

enum { ROW_COUNT = sizeof(rows) / sizeof(rows[0]) };

/* protobuf-c's fields are not const; packing does not write. */
static char *text_field(const char *text)
{
    return (char *)(uintptr_t)text;
}

static int pack(const Rayos__Policy__Policy *message, struct ray_buf *out, struct ray_err *err)
{
    size_t size = rayos__policy__policy__get_packed_size(message);

    if (ray_buf_reserve(out, size) != RAY_OK) {
        return ray_fail(err, RAY_ENOMEM, "the default policy");
    }
    out->size += rayos__policy__policy__pack(message, out->data + out->size);
    out->data[out->size] = '\0'; /* reserve keeps room for it */
    return RAY_OK;
}

static size_t copy_list(const char *const from[PATTERNS_MAX], char *to[PATTERNS_MAX])
{
    size_t count = 0;

    while (count < PATTERNS_MAX && from[count] != NULL) {
        to[count] = text_field(from[count]);
        count++;
    }
    return count;
}

int coord_policy_default(struct ray_buf *out, struct ray_err *err)
{
    Rayos__Policy__Policy message = RAYOS__POLICY__POLICY__INIT;
    Rayos__Policy__Rule rules[ROW_COUNT];
    Rayos__Policy__Rule *list[ROW_COUNT];
    char *who[ROW_COUNT];
    char *actions[ROW_COUNT][PATTERNS_MAX];
    char *objects[ROW_COUNT][PATTERNS_MAX];

    for (size_t i = 0; i < ROW_COUNT; i++) {
        rayos__policy__rule__init(&rules[i]);
        rules[i].name = text_field(rows[i].name);
        rules[i].effect = rows[i].effect;
        who[i] = text_field(rows[i].who);
        rules[i].who = &who[i];
        rules[i].n_who = rows[i].who != NULL;
        rules[i].action = actions[i];
        rules[i].n_action = copy_list(rows[i].actions, actions[i]);
        rules[i].object = objects[i];
        rules[i].n_object = copy_list(rows[i].objects, objects[i]);
        if (rows[i].reason != NULL) {
            rules[i].reason = text_field(rows[i].reason);
        }
        list[i] = &rules[i];
    }
    message.rules = list;
    message.n_rules = ROW_COUNT;
    return pack(&message, out, err);
}
