#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/test.h"
#include "net/rpc.h"
#include "node/facts/facts.h"
#include "node/facts/tree_fixture.h"

/* The machine that runs the test: it has a CPU and memory at least. */
static void test_this_machine(void **state)
{
    struct tree *tree = *state;
    Rayos__Node__Facts *facts = NULL;
    struct ray_err err = {0};
    int root_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);

    assert_true(root_fd >= 0);
    assert_int_equal(facts_read(root_fd, &tree->arena, &facts, NULL, &err), RAY_OK);
    assert_true(facts->cpu->count > 0);
    assert_true(facts->memory->total_bytes > facts->memory->available_bytes);
    assert_string_not_equal(facts->kernel, "");
    assert_true(rayos__node__facts__get_packed_size(facts) < RAY_RPC_BODY_SIZE_MAX);
    (void)close(root_fd);
}

static void test_empty_tree(void **state)
{
    struct tree *tree = *state;
    Rayos__Node__Facts *facts = NULL;
    struct facts_data data = {0};

    assert_int_equal(facts_read(tree->fd, &tree->arena, &facts, &data, NULL), RAY_OK);
    assert_string_equal(facts->firmware->kind, "bios");
    assert_int_equal(facts->n_disks, 0);
    assert_false(data.is_known);
}

static void test_fit(void **state)
{
    struct tree *tree = *state;
    Rayos__Node__Facts *facts = NULL;
    char name[128], model[FACTS_TEXT_SIZE_MAX];

    memset(model, 'm', sizeof model);
    model[sizeof model - 1] = '\0';
    for (int disk = 0; disk < 4; disk++) {
        (void)snprintf(name, sizeof name, "sys/block/d%d/device/model", disk);
        tree_put(tree, name, model);
        (void)snprintf(name, sizeof name, "sys/block/d%d/d%dp1/partition", disk, disk);
        tree_put(tree, name, "1");
        (void)snprintf(name, sizeof name, "sys/class/net/e%d/type", disk);
        tree_put(tree, name, "1");
    }
    assert_int_equal(facts_read(tree->fd, &tree->arena, &facts, NULL, NULL), RAY_OK);
    for (size_t size = rayos__node__facts__get_packed_size(facts); size > 0; size--) {
        facts_fit(facts, size);
        /* Partitions go before cards, cards before disks. */
        assert_true(facts->n_network_cards == 4 || facts->disks[0]->n_partitions == 0);
        assert_true(facts->n_disks == 4 || facts->n_network_cards == 0);
        if (facts->n_disks > 0) {
            assert_true(rayos__node__facts__get_packed_size(facts) <= size);
        }
    }
    assert_int_equal(facts->n_disks, 0);
}

static void test_faults(void **state)
{
    static const char *const points[] = {"alloc", "open", "read"};
    struct tree *tree = *state;

    tree_put(tree, "proc/cpuinfo", "vendor_id : x\nflags : a b\n");
    tree_put(tree, "sys/block/vda/device/model", "m");
    tree_put(tree, "sys/block/vda/vda1/partition", "1");
    tree_put(tree, "sys/class/net/e0/type", "1");
    for (size_t i = 0; i < sizeof points / sizeof points[0]; i++) {
        for (unsigned n = 1;; n++) {
            Rayos__Node__Facts *facts = NULL;
            struct ray_arena arena;
            int rc;

            ray_arena_init(&arena, FACTS_ARENA_SIZE_MAX);
            ray_test_fault_arm(points[i], n);
            rc = facts_read(tree->fd, &arena, &facts, NULL, NULL);
            ray_arena_fini(&arena);
            if (!ray_test_fault_disarm()) {
                assert_int_equal(rc, RAY_OK);
                break;
            }
            /* Only memory is needed; what cannot be read is left out. */
            assert_int_equal(rc, i == 0 ? RAY_ENOMEM : RAY_OK);
            assert_true(n < 100000);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_this_machine, tree_test_setup, tree_test_teardown),
        cmocka_unit_test_setup_teardown(test_empty_tree, tree_test_setup, tree_test_teardown),
        cmocka_unit_test_setup_teardown(test_fit, tree_test_setup, tree_test_teardown),
        cmocka_unit_test_setup_teardown(test_faults, tree_test_setup, tree_test_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
