#include <string.h>

#include "base/size.h"
#include "base/test.h"
#include "clusterctl/verbs/guest_options.h"

enum { WORDS_MAX = 12 };

static const struct ray_args_option options[] = {GUEST_SPEC_OPTIONS, {0}};

static int run_nothing(const struct ray_args *args, void *context)
{
    (void)args;
    (void)context;
    return 0;
}

static const struct ray_args_command commands[] = {
    {.name = "create", .options = options, .run = run_nothing}, {0}};
static const struct ray_args_command root = {.name = "test", .subcommands = commands};

struct fix {
    struct ray_arena arena;
    struct ray_args args;
    struct ray_err err;
    Rayos__Spec__GuestSpec *spec;
};

static int open_fix(void **state)
{
    static struct fix fix;

    fix = (struct fix){.spec = NULL};
    ray_arena_init(&fix.arena, 1 << 20);
    fix.spec = ray_arena_alloc(&fix.arena, sizeof *fix.spec);
    assert_non_null(fix.spec);
    rayos__spec__guest_spec__init(fix.spec);
    *state = &fix;
    return 0;
}

static int close_fix(void **state)
{
    struct fix *fix = *state;

    ray_arena_fini(&fix->arena);
    return 0;
}

/* Words behind "create", up to NULL. */
static int apply(struct fix *fix, const char *const *words)
{
    char *argv[WORDS_MAX + 3] = {(char *)"test", (char *)"create"};
    int argc = 2;

    for (size_t i = 0; words[i] != NULL; i++) {
        assert_true(i < WORDS_MAX);
        argv[argc++] = (char *)(uintptr_t)words[i];
    }
    fix->err = (struct ray_err){0};
    assert_int_equal(ray_args_parse(&root, NULL, argc, argv, &fix->args, &fix->err), RAY_OK);
    return guest_options_apply(&fix->args, &fix->spec, &fix->arena, &fix->err);
}

#define APPLY(fix, ...) apply((fix), (const char *const[]){__VA_ARGS__, NULL})

static void test_values(void **state)
{
    struct fix *fix = *state;

    assert_int_equal(APPLY(fix, "--vcpus=2", "--memory=2GiB", "--disk=8G", "--image=debian-13",
                           "--cpu=x86-64-v2", "--autostart=hidden", "--restart=elsewhere",
                           "--display=1280x800", "--domain=rack2", "--priority=7"),
                     RAY_OK);
    assert_int_equal(fix->spec->vcpus, 2);
    assert_true(fix->spec->memory_bytes == UINT64_C(2) << 30);
    assert_true(fix->spec->disk_bytes == UINT64_C(8) << 30);
    assert_string_equal(fix->spec->image, "debian-13");
    assert_string_equal(fix->spec->cpu_model, "x86-64-v2");
    assert_int_equal(fix->spec->on_boot, RAYOS__SPEC__ON_BOOT__ON_BOOT_HIDDEN);
    assert_int_equal(fix->spec->restart, RAYOS__SPEC__RESTART__RESTART_ELSEWHERE);
    assert_int_equal(fix->spec->display->width, 1280);
    assert_int_equal(fix->spec->display->height, 800);
    assert_string_equal(fix->spec->domain, "rack2");
    assert_int_equal(fix->spec->priority, 7);
    /* What is not named stays. */
    assert_int_equal(APPLY(fix, "--display=off", "--autostart=off", "--restart=never"), RAY_OK);
    assert_null(fix->spec->display);
    assert_int_equal(fix->spec->on_boot, RAYOS__SPEC__ON_BOOT__ON_BOOT_NOTHING);
    assert_int_equal(fix->spec->restart, RAYOS__SPEC__RESTART__RESTART_NEVER);
    assert_int_equal(fix->spec->vcpus, 2);
    assert_int_equal(APPLY(fix, "--restart=home"), RAY_OK);
    assert_int_equal(fix->spec->restart, RAYOS__SPEC__RESTART__RESTART_HOME);
}

static void test_networks(void **state)
{
    struct fix *fix = *state;

    assert_int_equal(APPLY(fix, "--network=lan", "--network=dmz"), RAY_OK);
    assert_int_equal(fix->spec->n_networks, 2);
    assert_string_equal(fix->spec->networks[1]->network, "dmz");
    assert_int_equal(APPLY(fix, "--vcpus=1"), RAY_OK);
    assert_int_equal(fix->spec->n_networks, 2);
    assert_int_equal(APPLY(fix, "--network=lan", "--network=off"), RAY_EUSAGE);
    assert_int_equal(APPLY(fix, "--network=off"), RAY_OK);
    assert_int_equal(fix->spec->n_networks, 0);
    assert_int_equal(APPLY(fix, "--network=a", "--network=a", "--network=a", "--network=a",
                           "--network=a", "--network=a", "--network=a", "--network=a",
                           "--network=a"),
                     RAY_EUSAGE);
}

static void test_relations(void **state)
{
    struct fix *fix = *state;
    Rayos__Spec__Relation **relations;

    assert_int_equal(APPLY(fix, "--anti-affinity=app=web,domain,preferred",
                           "--anti-affinity=guest:db", "--affinity=tier=front"),
                     RAY_OK);
    relations = fix->spec->relations;
    assert_int_equal(fix->spec->n_relations, 3);
    assert_string_equal(relations[0]->label, "app");
    assert_int_equal(relations[0]->value.len, 3);
    assert_memory_equal(relations[0]->value.data, "web", 3);
    assert_true(relations[0]->is_for_domain && !relations[0]->is_required);
    assert_false(relations[0]->is_together);
    assert_string_equal(relations[1]->guest, "db");
    assert_true(relations[1]->is_required && !relations[1]->is_for_domain);
    assert_true(relations[2]->is_together);
    /* One sort is replaced, the other stays. */
    assert_int_equal(APPLY(fix, "--anti-affinity=none"), RAY_OK);
    assert_int_equal(fix->spec->n_relations, 1);
    assert_string_equal(fix->spec->relations[0]->label, "tier");
    assert_int_equal(APPLY(fix, "--anti-affinity=app"), RAY_EUSAGE);
    assert_int_equal(APPLY(fix, "--anti-affinity==web"), RAY_EUSAGE);
    assert_int_equal(APPLY(fix, "--affinity=a=b,near"), RAY_EUSAGE);
    assert_non_null(strstr(fix->err.text, "',near' is neither domain nor preferred"));
}

static void test_node_labels(void **state)
{
    struct fix *fix = *state;

    assert_int_equal(APPLY(fix, "--node-label=disk=nvme", "--node-label=gpu="), RAY_OK);
    assert_int_equal(fix->spec->n_node_labels, 2);
    assert_string_equal(fix->spec->node_labels[0]->key, "disk");
    assert_int_equal(fix->spec->node_labels[1]->value.len, 0);
    assert_int_equal(APPLY(fix, "--node-label=gpu"), RAY_EUSAGE);
    assert_int_equal(APPLY(fix, "--node-label=none"), RAY_OK);
    assert_int_equal(fix->spec->n_node_labels, 0);
}

static void test_what_is_refused(void **state)
{
    static const char *const words[] = {
        "--vcpus=0",        "--vcpus=257",
        "--vcpus=two",      "--memory=2GB",
        "--memory=",        "--disk=big",
        "--priority=1001",  "--display=1280",
        "--display=0x800",  "--display=1280x",
        "--display=x800",   "--display=1280x800x24",
        "--file=/no/where", "--user-data=/no/where",
    };
    struct fix *fix = *state;

    for (size_t i = 0; i < RAY_ARRAY_COUNT(words); i++) {
        int rc = APPLY(fix, words[i]);

        if (rc != RAY_EUSAGE && rc != RAY_ENOTFOUND) {
            fail_msg("%s: %d", words[i], rc);
        }
        assert_true(fix->err.text[0] != '\0');
    }
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, open_fix, close_fix)
    static const struct CMUnitTest tests[] = {
        TEST(test_values),      TEST(test_networks),        TEST(test_relations),
        TEST(test_node_labels), TEST(test_what_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
