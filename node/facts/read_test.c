/* Hostile files: missing, empty, huge, binary, folders, FIFOs, strange names. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/test.h"
#include "node/facts/read.h"
#include "node/facts/tree_fixture.h"

static void test_text(void **state)
{
    struct tree *tree = *state;
    struct facts_source *source = &tree->source;
    char *large = malloc(1 << 20);

    assert_non_null(large);
    tree_put(tree, "plain", "  Virtio Disk \n second line\n");
    tree_put(tree, "empty", "");
    tree_put(tree, "blank", " \n\t\n");
    tree_put_bytes(tree, "binary", "a\0\x1b[31m\xff\n", 9);
    memset(large, 'x', 1 << 20);
    tree_put_bytes(tree, "large", large, 1 << 20);
    tree_dir(tree, "dir");
    assert_string_equal(facts_text(source, "plain"), "Virtio Disk");
    assert_string_equal(facts_text(source, "empty"), "");
    assert_string_equal(facts_text(source, "blank"), "");
    assert_string_equal(facts_text(source, "binary"), "a\\x00\\x1b[31m\\xff");
    assert_int_equal(strlen(facts_text(source, "large")), FACTS_TEXT_SIZE_MAX - 1);
    assert_string_equal(facts_text(source, "dir"), "");
    assert_string_equal(facts_text(source, "not/there"), "");
    assert_string_equal(facts_text(source, "%0500d", 1), ""); /* no such path fits */
    assert_false(source->is_out_of_memory);
    free(large);
}

static void test_fifo_does_not_block(void **state)
{
    struct tree *tree = *state;

    assert_int_equal(mkfifoat(tree->fd, "fifo", 0600), 0);
    assert_string_equal(facts_text(&tree->source, "fifo"), "");
}

static void test_number(void **state)
{
    static const struct {
        const char *text;
        uint64_t number;
    } cases[] = {
        {"0\n", 0},
        {"42\n", 42},
        {"42", 42},
        {"0x1f4\n", 500},
        {"18446744073709551615\n", UINT64_MAX},
        {"18446744073709551616\n", 0},
        {"-1\n", 0},
        {"", 0},
        {" 5\n", 0},
        {"5x\n", 0},
        {"99999999999999999999999999999999999999999999999999\n", 0},
    };
    struct tree *tree = *state;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        tree_put(tree, "number", cases[i].text);
        assert_int_equal(facts_number(&tree->source, "number"), cases[i].number);
    }
    assert_int_equal(facts_number(&tree->source, "missing"), 0);
}

static void test_list(void **state)
{
    struct tree *tree = *state;
    char **names = NULL;
    char name[80];

    tree_put(tree, "some/vda10", "");
    tree_put(tree, "some/vda2", "");
    tree_put(tree, "some/.hidden", "");
    tree_put(tree, "some/a b", "");
    tree_put(tree, "some/$(x)", "");
    assert_int_equal(facts_list(&tree->source, &names, "some"), 2);
    assert_string_equal(names[0], "vda2");
    assert_string_equal(names[1], "vda10");
    assert_int_equal(facts_list(&tree->source, &names, "none"), 0);
    assert_int_equal(facts_list(&tree->source, &names, "some/vda2"), 0);

    for (int i = 0; i < FACTS_ENTRY_COUNT_MAX + 10; i++) {
        (void)snprintf(name, sizeof name, "many/%d", i);
        tree_put(tree, name, "");
    }
    assert_int_equal(facts_list(&tree->source, &names, "many"), FACTS_ENTRY_COUNT_MAX);

    memset(name, 'n', sizeof name);
    memcpy(name, "long/", 5);
    name[5 + FACTS_NAME_SIZE_MAX - 1] = '\0';
    tree_put(tree, name, "");
    assert_int_equal(facts_list(&tree->source, &names, "long"), 1);
    name[5 + FACTS_NAME_SIZE_MAX - 1] = 'n';
    name[5 + FACTS_NAME_SIZE_MAX] = '\0';
    tree_put(tree, name, "");
    assert_int_equal(facts_list(&tree->source, &names, "long"), 1);
}

static void test_links(void **state)
{
    struct tree *tree = *state;
    char target[16];

    tree_link(tree, "driver", "../../bus/virtio/drivers/virtio_net");
    tree_link(tree, "bare", "igb");
    assert_string_equal(facts_link_name(&tree->source, "driver"), "virtio_net");
    assert_string_equal(facts_link_name(&tree->source, "bare"), "igb");
    assert_string_equal(facts_link_name(&tree->source, "missing"), "");
    assert_true(facts_link(&tree->source, target, sizeof target, "driver"));
    assert_string_equal(target, "../../bus/virti"); /* cut */
    assert_false(facts_link(&tree->source, target, sizeof target, "missing"));
    assert_string_equal(target, "");
}

static void test_field(void **state)
{
    static const char text[] =
        "vendor_id\t: AuthenticAMD\nmodel\t\t: 1\nmodel name\t: EPYC\nempty:\n"
        "flags\t\t: a b";
    size_t size = 0;

    (void)state;
    assert_memory_equal(facts_field(text, "vendor_id", &size), "AuthenticAMD", 12);
    assert_int_equal(size, 12);
    assert_memory_equal(facts_field(text, "model", &size), "1", 1);
    assert_int_equal(size, 1);
    assert_memory_equal(facts_field(text, "model name", &size), "EPYC", 4);
    assert_non_null(facts_field(text, "empty", &size));
    assert_int_equal(size, 0);
    assert_memory_equal(facts_field(text, "flags", &size), "a b", 3);
    assert_int_equal(size, 3);
    assert_null(facts_field(text, "fla", &size));
    assert_null(facts_field(text, "other", &size));
    assert_null(facts_field("", "other", &size));
}

static void test_no_memory(void **state)
{
    struct tree *tree = *state;
    struct ray_arena small;
    struct facts_source source = {.root_fd = tree->fd, .arena = &small};
    char **names = NULL;

    tree_put(tree, "some/file", "text");
    ray_arena_init(&small, 1);
    assert_string_equal(facts_text(&source, "some/file"), "");
    assert_true(source.is_out_of_memory);
    source.is_out_of_memory = false;
    assert_int_equal(facts_list(&source, &names, "some"), 0);
    assert_true(source.is_out_of_memory);
    ray_arena_fini(&small);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_text, tree_test_setup, tree_test_teardown),
        cmocka_unit_test_setup_teardown(test_fifo_does_not_block, tree_test_setup,
                                        tree_test_teardown),
        cmocka_unit_test_setup_teardown(test_number, tree_test_setup, tree_test_teardown),
        cmocka_unit_test_setup_teardown(test_list, tree_test_setup, tree_test_teardown),
        cmocka_unit_test_setup_teardown(test_links, tree_test_setup, tree_test_teardown),
        cmocka_unit_test(test_field),
        cmocka_unit_test_setup_teardown(test_no_memory, tree_test_setup, tree_test_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
