#include "base/test.h"
#include "coordinator/policy/policy.h"
#include "coordinator/policy/policy_fixture.h"

#define ALLOW RAYOS__POLICY__EFFECT__EFFECT_ALLOW
#define DENY RAYOS__POLICY__EFFECT__EFFECT_DENY
#define ASK RAYOS__POLICY__EFFECT__EFFECT_ASK
#define COUNT_OF(list) (sizeof(list) / sizeof((list)[0]))

static const struct coord_policy_actor ann = {"principal", "ann", COORD_POLICY_ADMIN};
static const struct coord_policy_actor bob = {"principal", "bob", COORD_POLICY_OPERATOR};
static const struct coord_policy_actor eve = {"principal", "eve", 0};

static struct coord_policy *make(const struct policy_fix_rule *rules, size_t count)
{
    struct coord_policy *policy;
    struct ray_err err = {0};

    if (policy_fix_make(rules, count, &policy, &err) != RAY_OK) {
        fail_msg("%s", err.text);
    }
    return policy;
}

static struct coord_policy_decision decide(const struct coord_policy *policy,
                                           const struct coord_policy_actor *actor,
                                           enum coord_policy_action action, const char *guest)
{
    struct coord_policy_object object = {.kind = "guest", .name = guest, .vcpus = 4, .node = "n2"};

    return coord_policy_decide(policy, actor, action, &object);
}

static void test_the_first_that_matches(void **state)
{
    const struct policy_fix_rule rules[] = {
        {.name = "not-db", .effect = DENY, .object = "guest:db-*", .reason = "databases stay"},
        {.name = "bob", .effect = ALLOW, .who = "principal:bob", .action = "guest.*"},
        {.name = "admins", .effect = ALLOW, .who = "role:admin"},
    };
    struct coord_policy *policy = make(rules, COUNT_OF(rules));
    struct coord_policy_decision decision;

    (void)state;
    decision = decide(policy, &ann, COORD_POLICY_GUEST_STOP, "db-1");
    assert_int_equal(decision.effect, COORD_POLICY_DENY);
    assert_int_equal(decision.rule, 1);
    assert_string_equal(decision.name, "not-db");
    assert_string_equal(decision.reason, "databases stay");
    assert_int_equal(decide(policy, &bob, COORD_POLICY_GUEST_STOP, "web").rule, 2);
    assert_int_equal(decide(policy, &ann, COORD_POLICY_GUEST_STOP, "web").rule, 3);
    decision = decide(policy, &eve, COORD_POLICY_GUEST_STOP, "web");
    assert_int_equal(decision.effect, COORD_POLICY_DENY);
    assert_int_equal(decision.rule, COORD_POLICY_NO_RULE);
    assert_string_equal(decision.name, "default");
    assert_int_equal(decide(policy, &bob, COORD_POLICY_NODE_REBOOT, "web").rule,
                     COORD_POLICY_NO_RULE);
    coord_policy_destroy(policy);
}

static void test_nothing_allows_nothing(void **state)
{
    struct coord_policy *policy = make(NULL, 0);

    (void)state;
    for (int i = 0; i < COORD_POLICY_ACTION_COUNT; i++) {
        assert_int_equal(decide(policy, &ann, (enum coord_policy_action)i, "x").effect,
                         COORD_POLICY_DENY);
    }
    coord_policy_destroy(policy);
}

/* Each part of a rule, when it alone does not match. */
static void test_each_part_counts(void **state)
{
    const struct policy_fix_rule rule = {
        .name = "all-parts",
        .effect = ALLOW,
        .who = "role:operator",
        .action = "guest.create",
        .object = "guest:web-*",
        .label_key = "env",
        .label_value = "test*",
        .on = "n*",
        .vcpus = 4,
    };
    const struct coord_policy_label label = {"env", "testing", 7};
    const struct coord_policy_label other = {"env", "prod", 4};
    const struct coord_policy_object right = {"guest", "web-1", &label, 1, "n2", 4, 0, 0};
    struct coord_policy *policy = make(&rule, 1);
    struct coord_policy_object wrong;

    (void)state;
    assert_null(coord_policy_mismatch(policy, 1, &bob, COORD_POLICY_GUEST_CREATE, &right));
    assert_string_equal(coord_policy_mismatch(policy, 1, &bob, COORD_POLICY_GUEST_DELETE, &right),
                        "action");
    assert_string_equal(coord_policy_mismatch(policy, 1, &eve, COORD_POLICY_GUEST_CREATE, &right),
                        "who");
    wrong = right;
    wrong.name = "db-1";
    assert_string_equal(coord_policy_mismatch(policy, 1, &bob, COORD_POLICY_GUEST_CREATE, &wrong),
                        "object");
    wrong = right;
    wrong.kind = "volume";
    assert_string_equal(coord_policy_mismatch(policy, 1, &bob, COORD_POLICY_GUEST_CREATE, &wrong),
                        "object");
    wrong = right;
    wrong.labels = &other;
    assert_string_equal(coord_policy_mismatch(policy, 1, &bob, COORD_POLICY_GUEST_CREATE, &wrong),
                        "labels");
    wrong.label_count = 0;
    assert_string_equal(coord_policy_mismatch(policy, 1, &bob, COORD_POLICY_GUEST_CREATE, &wrong),
                        "labels");
    wrong = right;
    wrong.node = "m2";
    assert_string_equal(coord_policy_mismatch(policy, 1, &bob, COORD_POLICY_GUEST_CREATE, &wrong),
                        "on");
    wrong.node = NULL;
    assert_string_equal(coord_policy_mismatch(policy, 1, &bob, COORD_POLICY_GUEST_CREATE, &wrong),
                        "on");
    wrong = right;
    wrong.vcpus = 5;
    assert_string_equal(coord_policy_mismatch(policy, 1, &bob, COORD_POLICY_GUEST_CREATE, &wrong),
                        "at_most");
    coord_policy_destroy(policy);
}

static void test_who_approves(void **state)
{
    const struct policy_fix_rule rules[] = {
        {.name = "by-operators",
         .effect = ASK,
         .approver = "role:operator",
         .action = "guest.stop"},
        {.name = "by-admins", .effect = ASK, .action = "guest.start"},
        {.name = "rest", .effect = ALLOW},
    };
    struct coord_policy *policy = make(rules, COUNT_OF(rules));

    (void)state;
    assert_int_equal(decide(policy, &eve, COORD_POLICY_GUEST_STOP, "x").effect, COORD_POLICY_ASK);
    assert_true(coord_policy_may_approve(policy, 1, &bob));
    assert_false(coord_policy_may_approve(policy, 1, &ann));
    assert_true(coord_policy_may_approve(policy, 2, &ann));
    assert_false(coord_policy_may_approve(policy, 2, &bob));
    assert_false(coord_policy_may_approve(policy, 3, &ann));
    coord_policy_destroy(policy);
}

static void expect_refused(const struct policy_fix_rule *rule, const char *text)
{
    struct coord_policy *policy;
    struct ray_err err = {0};

    assert_int_equal(policy_fix_make(rule, 1, &policy, &err), RAY_EINVAL);
    if (strstr(err.text, text) == NULL) {
        fail_msg("'%s' does not say '%s'", err.text, text);
    }
    assert_string_not_equal(err.next_step, "");
}

static void test_typing_errors_are_refused(void **state)
{
    char longest[COORD_POLICY_PATTERN_SIZE_MAX + 2];

    (void)state;
    memset(longest, 'x', sizeof(longest));
    memcpy(longest, "guest:", 6);
    longest[sizeof(longest) - 1] = '\0';
    expect_refused(&(struct policy_fix_rule){.effect = ALLOW}, "not a name");
    expect_refused(&(struct policy_fix_rule){.name = "default", .effect = ALLOW}, "not a name");
    expect_refused(&(struct policy_fix_rule){.name = "a", .line = 12}, "line 12: rule 'a'");
    expect_refused(&(struct policy_fix_rule){.name = "a", .effect = ALLOW, .who = "role:root"},
                   "no such role");
    expect_refused(&(struct policy_fix_rule){.name = "a", .effect = ALLOW, .who = "ann"},
                   "not an actor");
    expect_refused(&(struct policy_fix_rule){.name = "a", .effect = ALLOW, .action = "guest.fly"},
                   "no such action");
    expect_refused(&(struct policy_fix_rule){.name = "a", .effect = ALLOW, .object = "vm:x"},
                   "not an object");
    expect_refused(&(struct policy_fix_rule){.name = "a", .effect = ALLOW, .object = longest},
                   "too long");
    expect_refused(&(struct policy_fix_rule){.name = "a", .effect = ALLOW, .on = ""}, "empty name");
    expect_refused(&(struct policy_fix_rule){.name = "a", .effect = DENY, .approver = "role:admin"},
                   "does not ask");
    expect_refused(&(struct policy_fix_rule){.name = "a", .effect = ALLOW, .reason = "a\nb"},
                   "not printable");
    expect_refused(
        &(struct policy_fix_rule){
            .name = "a", .effect = ALLOW, .label_key = "", .label_value = "x"},
        "label without a key");
}

static int make_new(uint32_t level, const struct policy_fix_rule *rule, struct ray_err *err)
{
    struct coord_policy *policy = NULL;
    size_t size;
    uint8_t *bytes = policy_fix_pack(rule, 1, &size);
    int rc = coord_policy_create_new(level, bytes, size, &policy, err);

    free(bytes);
    coord_policy_destroy(policy);
    return rc;
}

/* A look has no object: a rule that denies some looks would deny none. */
static void test_a_look_has_no_object(void **state)
{
    const struct policy_fix_rule narrow[] = {
        {.name = "a", .effect = DENY, .action = "registry.read", .object = "guest:x"},
        {.name = "a", .effect = DENY, .action = "registry.r*", .on = "n1"},
        {.name = "a",
         .effect = DENY,
         .action = "registry.read",
         .label_key = "k",
         .label_value = "v"},
        {.name = "a", .effect = ALLOW, .action = "registry.read", .vcpus = 1},
    };
    const struct policy_fix_rule wide[] = {
        {.name = "a", .effect = DENY, .action = "registry.read", .who = "role:viewer"},
        {.name = "a", .effect = DENY, .action = "registry.*", .object = "guest:x"},
        {.name = "a", .effect = DENY, .object = "guest:x"},
    };
    struct coord_policy *policy;
    struct ray_err err = {0};

    (void)state;
    for (size_t i = 0; i < sizeof narrow / sizeof narrow[0]; i++) {
        assert_int_equal(make_new(COORD_POLICY_LEVEL, &narrow[i], &err), RAY_EINVAL);
        assert_non_null(strstr(err.text, "registry.read has no object"));
        /* what was set before is still read */
        assert_int_equal(policy_fix_make(&narrow[i], 1, &policy, &err), RAY_OK);
        coord_policy_destroy(policy);
    }
    for (size_t i = 0; i < sizeof wide / sizeof wide[0]; i++) {
        assert_int_equal(make_new(COORD_POLICY_LEVEL, &wide[i], &err), RAY_OK);
    }
}

/* An action of a later level is none, so that builds with and without it agree. */
static void test_only_a_look_is_so_by_the_level(void **state)
{
    char *const actions[] = {(char *)"registry.*"};

    (void)state;
    assert_false(coord_policy_is_only_read(actions, 1, 1)); /* registry.label */
    assert_true(coord_policy_is_only_read(actions, 1, 0));
}

/* As a build says it that does not know the action at all. */
static void test_actions_come_with_a_feature_level(void **state)
{
    const struct policy_fix_rule rule = {.name = "a", .effect = ALLOW, .action = "guest.start"};
    struct ray_err later = {0};
    struct ray_err unknown = {0};

    (void)state;
    assert_int_equal(make_new(1, &rule, NULL), RAY_OK);
    assert_int_equal(make_new(0, &rule, &later), RAY_EINVAL);
    assert_int_equal(
        make_new(1, &(struct policy_fix_rule){.name = "a", .effect = ALLOW, .action = "guest.fly"},
                 &unknown),
        RAY_EINVAL);
    assert_string_equal(later.text, "rule 1 'a': no such action: 'guest.start'");
    assert_string_equal(unknown.text, "rule 1 'a': no such action: 'guest.fly'");
    assert_string_equal(later.next_step, unknown.next_step);
    for (int i = 0; i < COORD_POLICY_ACTION_COUNT; i++) {
        assert_in_range(coord_policy_action_level((enum coord_policy_action)i), 1,
                        COORD_POLICY_LEVEL);
    }
}

static void test_two_of_a_name(void **state)
{
    const struct policy_fix_rule rules[] = {
        {.name = "same", .effect = ALLOW},
        {.name = "same", .effect = DENY},
    };
    struct coord_policy *policy;
    struct ray_err err = {0};

    (void)state;
    assert_int_equal(policy_fix_make(rules, 2, &policy, &err), RAY_EINVAL);
    assert_non_null(strstr(err.text, "second rule"));
}

static void test_limits(void **state)
{
    static struct policy_fix_rule rules[COORD_POLICY_RULES_MAX + 1];
    static char names[COORD_POLICY_RULES_MAX + 1][8];
    struct coord_policy *policy;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rules); i++) {
        (void)snprintf(names[i], sizeof(names[i]), "r%zu", i);
        rules[i] = (struct policy_fix_rule){.name = names[i], .effect = ALLOW};
    }
    assert_int_equal(policy_fix_make(rules, COUNT_OF(rules), &policy, NULL), RAY_ETOOBIG);
    policy = make(rules, COORD_POLICY_RULES_MAX);
    assert_int_equal(coord_policy_rule_count(policy), COORD_POLICY_RULES_MAX);
    coord_policy_destroy(policy);
}

static void test_foreign_bytes(void **state)
{
    /* A rule with field 50 of a later version; a rule that ends too early. */
    static const uint8_t later[] = {0x0a, 0x08, 0x0a, 0x01, 'a', 0x10, 0x01, 0x90, 0x03, 0x01};
    static const uint8_t torn[] = {0x0a, 0x08, 0x0a, 0x01};
    struct coord_policy *policy;

    (void)state;
    assert_int_equal(coord_policy_create(later, sizeof(later), &policy, NULL), RAY_EUNSUPPORTED);
    assert_int_equal(coord_policy_create(torn, sizeof(torn), &policy, NULL), RAY_EMALFORMED);
    assert_int_equal(coord_policy_create(torn, COORD_POLICY_SIZE_MAX + 1, &policy, NULL),
                     RAY_ETOOBIG);
}

/* The definition, by recursion, for short texts. */
static bool naive(const char *pattern, const char *text, size_t size)
{
    if (*pattern == '\0') {
        return size == 0;
    }
    if (*pattern == '*') {
        return naive(pattern + 1, text, size) || (size > 0 && naive(pattern, text + 1, size - 1));
    }
    return size > 0 && *pattern == *text && naive(pattern + 1, text + 1, size - 1);
}

/* All patterns of up to 5 and texts of up to 6 characters over a small alphabet. */
static void test_globs(void **state)
{
    char pattern[6];
    char text[7];

    (void)state;
    for (int p = 0; p < 3 * 3 * 3 * 3 * 3; p++) {
        int left = p;
        int size = 0;

        for (; left > 0; left /= 3) {
            pattern[size++] = "*ab"[left % 3];
        }
        pattern[size] = '\0';
        for (int t = 1; t < 128; t++) {
            size_t text_size = 0;

            for (int rest = t; rest > 1; rest /= 2) {
                text[text_size++] = rest % 2 == 0 ? 'a' : 'b';
            }
            assert_int_equal(coord_policy_glob(pattern, text, text_size),
                             naive(pattern, text, text_size));
        }
    }
}

static const char *effect_of(const struct coord_policy *policy,
                             const struct coord_policy_actor *actor, const char *action,
                             const char *kind)
{
    struct coord_policy_object object = {.kind = kind, .name = "x"};
    enum coord_policy_action found;

    assert_int_equal(coord_policy_action_find(action, &found, NULL), RAY_OK);
    return coord_policy_effect_text(coord_policy_decide(policy, actor, found, &object).effect);
}

static void test_the_default_is_safe(void **state)
{
    const struct coord_policy_actor viewer = {"principal", "vic", COORD_POLICY_VIEWER};
    const struct coord_policy_actor guest = {"guest", "web", 0};
    struct coord_policy *policy;
    struct ray_buf packed;

    (void)state;
    ray_buf_init(&packed, COORD_POLICY_SIZE_MAX);
    assert_int_equal(coord_policy_default(&packed, NULL), RAY_OK);
    assert_int_equal(coord_policy_create(packed.data, packed.size, &policy, NULL), RAY_OK);
    assert_string_equal(effect_of(policy, &ann, "guest.network", "network"), "deny");
    assert_string_equal(effect_of(policy, &ann, "guest.device", "device"), "deny");
    assert_string_equal(effect_of(policy, &ann, "guest.present", "guest"), "deny");
    assert_string_equal(effect_of(policy, &ann, "guest.input", "guest"), "deny");
    assert_string_equal(effect_of(policy, &ann, "policy.set", "policy"), "allow");
    assert_string_equal(effect_of(policy, &bob, "guest.start", "guest"), "allow");
    assert_string_equal(effect_of(policy, &bob, "policy.set", "policy"), "deny");
    assert_string_equal(effect_of(policy, &bob, "token.create", "token"), "deny");
    assert_string_equal(effect_of(policy, &bob, "principal.admin", "principal"), "deny");
    assert_string_equal(effect_of(policy, &bob, "registry.read", ""), "allow");
    assert_string_equal(effect_of(policy, &bob, "registry.label", "network"), "allow");
    assert_string_equal(effect_of(policy, &bob, "registry.label", "node"), "deny");
    assert_string_equal(effect_of(policy, &bob, "registry.label", "principal"), "deny");
    assert_string_equal(effect_of(policy, &bob, "registry.label", "cluster"), "deny");
    assert_string_equal(effect_of(policy, &viewer, "registry.read", "guest"), "allow");
    assert_string_equal(effect_of(policy, &guest, "registry.read", "guest"), "deny");
    /* Who may only look changes nothing. */
    for (int i = 0; i < COORD_POLICY_ACTION_COUNT; i++) {
        enum coord_policy_action action = (enum coord_policy_action)i;
        const char *effect = effect_of(policy, &viewer, coord_policy_action_text(action), "guest");

        assert_true(coord_policy_action_is_read(action) || strcmp(effect, "deny") == 0);
    }
    coord_policy_destroy(policy);
    ray_buf_fini(&packed);
}

static void test_print(void **state)
{
    const struct policy_fix_rule rules[] = {
        {
            .name = "small-ones",
            .effect = ASK,
            .who = "role:operator",
            .action = "guest.create",
            .object = "guest:web-*",
            .label_key = "env",
            .label_value = "test",
            .on = "n1",
            .vcpus = 4,
            .approver = "principal:ann",
            .reason = "say \"why\" \\ how",
        },
        {.name = "rest", .effect = DENY},
    };
    struct coord_policy *policy = make(rules, COUNT_OF(rules));
    struct ray_buf out;

    (void)state;
    ray_buf_init(&out, COORD_POLICY_SIZE_MAX);
    assert_int_equal(coord_policy_print(policy, &out, NULL), RAY_OK);
    assert_string_equal(ray_buf_text(&out),
                        "# The first rule that matches decides; what none matches is denied.\n"
                        "\n[[rule]]\n"
                        "name = \"small-ones\"\n"
                        "effect = \"ask\"\n"
                        "who = [\"role:operator\"]\n"
                        "action = [\"guest.create\"]\n"
                        "object = [\"guest:web-*\"]\n"
                        "labels = { \"env\" = \"test\" }\n"
                        "on = [\"n1\"]\n"
                        "at_most = { vcpus = 4 }\n"
                        "approvers = [\"principal:ann\"]\n"
                        "reason = \"say \\\"why\\\" \\\\ how\"\n"
                        "\n[[rule]]\n"
                        "name = \"rest\"\n"
                        "effect = \"deny\"\n");
    ray_buf_fini(&out);
    ray_buf_init(&out, 50);
    assert_int_equal(coord_policy_print(policy, &out, NULL), RAY_ETOOBIG);
    ray_buf_fini(&out);
    coord_policy_destroy(policy);
}

static void test_actions(void **state)
{
    enum coord_policy_action found;
    struct ray_err err = {0};

    (void)state;
    for (int i = 0; i < COORD_POLICY_ACTION_COUNT; i++) {
        enum coord_policy_action action = (enum coord_policy_action)i;

        assert_int_equal(coord_policy_action_find(coord_policy_action_text(action), &found, NULL),
                         RAY_OK);
        assert_int_equal(found, action);
        assert_non_null(coord_policy_action_object(action));
    }
    assert_int_equal(coord_policy_action_find("guest.*", &found, &err), RAY_ENOTFOUND);
    assert_non_null(strstr(err.next_step, "policy.md"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_first_that_matches),
        cmocka_unit_test(test_nothing_allows_nothing),
        cmocka_unit_test(test_each_part_counts),
        cmocka_unit_test(test_who_approves),
        cmocka_unit_test(test_typing_errors_are_refused),
        cmocka_unit_test(test_two_of_a_name),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_foreign_bytes),
        cmocka_unit_test(test_globs),
        cmocka_unit_test(test_a_look_has_no_object),
        cmocka_unit_test(test_only_a_look_is_so_by_the_level),
        cmocka_unit_test(test_actions_come_with_a_feature_level),
        cmocka_unit_test(test_the_default_is_safe),
        cmocka_unit_test(test_print),
        cmocka_unit_test(test_actions),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
