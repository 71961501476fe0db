/* Seeds: order, doubles, limits, and words that are no address. */
#include "base/test.h"
#include "coordinator/api/seeds.h"

static int parse(struct member_seeds *seeds, const char *text)
{
    size_t size = strlen(text);
    uint8_t *exact = ray_test_copy(text, size);
    struct ray_err err = {0};
    int rc = member_seeds_parse(seeds, (const char *)exact, size, &err);

    assert_true(rc == RAY_OK || err.text[0] != '\0');
    free(exact);
    return rc;
}

static void in_order_and_once(void **state)
{
    struct member_seeds seeds = {0};

    (void)state;
    assert_int_equal(member_seeds_add(&seeds, "n1.example:7297", NULL), RAY_OK);
    assert_int_equal(parse(&seeds, "# ours, 10.0.0.9:1\n10.0.0.2:7297,[fd00::1]:7297\n\n"
                                   " 10.0.0.1:7297 # and,10.0.0.2:7297\r\n10.0.0.2:7297"),
                     RAY_OK);
    assert_int_equal(seeds.count, 4);
    assert_string_equal(seeds.at[0], "n1.example:7297");
    assert_string_equal(seeds.at[1], "10.0.0.2:7297");
    assert_string_equal(seeds.at[2], "[fd00::1]:7297");
    assert_string_equal(seeds.at[3], "10.0.0.1:7297");
}

static void wrong_ones_are_left_out(void **state)
{
    static const char *const texts[] = {"x",
                                        "10.0.0.1",
                                        "10.0.0.1:",
                                        ":7297",
                                        "10.0.0.1:70000",
                                        "[fd00::1:7297",
                                        "host.example:7297"};

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct member_seeds seeds = {0};
        char text[64];

        (void)snprintf(text, sizeof text, "%s,10.0.0.2:7297", texts[i]);
        assert_int_equal(parse(&seeds, text), RAY_EINVAL);
        assert_int_equal(seeds.count, 1);
        assert_string_equal(seeds.at[0], "10.0.0.2:7297");
    }
}

static void bounded(void **state)
{
    struct member_seeds seeds = {0};
    char text[RAY_TOKEN_SEED_SIZE_MAX + 1];

    (void)state;
    for (int i = 0; i < MEMBER_SEEDS_MAX; i++) {
        (void)snprintf(text, sizeof text, "10.0.0.%d:7297", i + 1);
        assert_int_equal(parse(&seeds, text), RAY_OK);
    }
    assert_int_equal(parse(&seeds, "10.0.1.1:7297"), RAY_ETOOBIG);
    assert_int_equal(parse(&seeds, "10.0.0.1:7297"), RAY_OK);
    assert_int_equal(seeds.count, MEMBER_SEEDS_MAX);
    memset(text, '1', sizeof text);
    text[RAY_TOKEN_SEED_SIZE_MAX] = '\0';
    assert_int_equal(parse(&seeds, text), RAY_EINVAL);
    assert_int_equal(member_seeds_add(&seeds, text, NULL), RAY_ETOOBIG);
}

static void files(void **state)
{
    struct member_seeds seeds = {0};

    (void)state;
    assert_int_equal(member_seeds_load(&seeds, "/nowhere/seeds", NULL), RAY_ENOTFOUND);
    assert_int_equal(seeds.count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(in_order_and_once),
        cmocka_unit_test(wrong_ones_are_left_out),
        cmocka_unit_test(bounded),
        cmocka_unit_test(files),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
