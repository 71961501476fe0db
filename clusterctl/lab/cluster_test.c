/* cluster_test.c - credentials of a lab's nodes, and what their markers say. */
#include <string.h>

#include "base/test.h"
#include "clusterctl/lab/cluster.h"

struct fixture {
    struct lab_cluster cluster;
    struct ray_buf text;
};

static int setup(void **state)
{
    const struct lab_config config = {.node_count = 3};
    struct fixture *fixture = calloc(1, sizeof *fixture);

    assert_non_null(fixture);
    ray_buf_init(&fixture->text, LAB_CLUSTER_TEXT_SIZE_MAX);
    assert_int_equal(lab_cluster_init(&fixture->cluster, &config, NULL), RAY_OK);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;

    lab_cluster_fini(&fixture->cluster);
    lab_cluster_fini(&fixture->cluster);
    ray_buf_fini(&fixture->text);
    free(fixture);
    return 0;
}

static const char *create(struct fixture *fixture, const char *name)
{
    const uint8_t admin[RAY_KEY_SIZE] = {0xab, 0x01};

    ray_buf_clear(&fixture->text);
    assert_int_equal(
        lab_cluster_create_text(&fixture->cluster, name, "slow", admin, &fixture->text, NULL),
        RAY_OK);
    return ray_buf_text(&fixture->text);
}

static struct ray_token *join(struct fixture *fixture, size_t index, bool is_first)
{
    struct ray_token *token = NULL;

    ray_buf_clear(&fixture->text);
    assert_int_equal(
        lab_cluster_join_text(&fixture->cluster, index, is_first, &fixture->text, NULL), RAY_OK);
    assert_int_equal(
        ray_token_parse(&token, (const char *)fixture->text.data, fixture->text.size, NULL),
        RAY_OK);
    return token;
}

static void test_create(void **state)
{
    const char *text = create(*state, "default");
    size_t count = 0;

    assert_int_equal(strncmp(text, "name=default admin=lab:ab01", 27), 0);
    assert_non_null(strstr(text, " timing=slow replace-token="));
    for (const char *at = text; (at = strstr(at, " replace-token=")) != NULL; at++) {
        count++;
    }
    assert_int_equal(count, LAB_CLUSTER_JOIN_COUNT);
    assert_non_null(strstr(text, " token=")); /* the operators' */
}

static void test_a_cluster_has_a_plainer_name(void **state)
{
    assert_non_null(strstr(create(*state, "x_y.z"), "name=x-y-z "));
    assert_non_null(strstr(create(*state, "a._"), "name=a "));
}

/* What joins with a token is let in by its hash. */
static void test_join_by_a_hash_of_create(void **state)
{
    char *all = strdup(create(*state, "default"));
    struct ray_token *token = join(*state, 1, true);
    uint8_t verifier[RAY_TOKEN_VERIFIER_SIZE];
    char word[88] = " replace-token=";

    assert_int_equal(token->seed_count, 1);
    assert_string_equal(token->seeds[0], "10.77.0.21:7297");
    ray_token_verifier(token->secret, verifier);
    for (size_t i = 0; i < sizeof verifier; i++) {
        (void)snprintf(word + strlen(word), sizeof word - strlen(word), "%02x", verifier[i]);
    }
    assert_non_null(all);
    assert_non_null(strstr(all, word));
    free(all);
    ray_token_destroy(token);
}

static void test_later_it_asks_all_others(void **state)
{
    struct ray_token *token = join(*state, 1, false);

    assert_int_equal(token->seed_count, 2);
    assert_string_equal(token->seeds[0], "10.77.0.21:7297");
    assert_string_equal(token->seeds[1], "10.77.0.23:7297");
    ray_token_destroy(token);
}

static void test_each_token_once(void **state)
{
    struct fixture *fixture = *state;
    struct ray_err err = {0};
    uint8_t last[RAY_TOKEN_SECRET_SIZE] = {0};

    for (size_t i = 0; i < LAB_CLUSTER_JOIN_COUNT; i++) {
        struct ray_token *token = join(fixture, 2, false);

        assert_memory_not_equal(token->secret, last, sizeof last);
        memcpy(last, token->secret, sizeof last);
        ray_token_destroy(token);
    }
    ray_buf_clear(&fixture->text);
    assert_int_equal(lab_cluster_join_text(&fixture->cluster, 2, false, &fixture->text, &err),
                     RAY_ENOTFOUND);
    assert_true(err.next_step[0] != '\0');
    assert_int_equal(fixture->text.size, 0);
}

/* It is there also when all others are used up, and names all machines. */
static void test_the_token_of_operators_stays(void **state)
{
    struct fixture *fixture = *state;

    for (int round = 0; round < 2; round++) {
        struct ray_token *token = NULL;

        ray_buf_clear(&fixture->text);
        assert_int_equal(lab_cluster_contact_text(&fixture->cluster, &fixture->text, NULL), RAY_OK);
        assert_int_equal(
            ray_token_parse(&token, (const char *)fixture->text.data, fixture->text.size, NULL),
            RAY_OK);
        assert_int_equal(token->seed_count, 3);
        ray_token_destroy(token);
    }
}

static void test_voters(void **state)
{
    (void)state;
    assert_int_equal(lab_cluster_voters(1), 1);
    assert_int_equal(lab_cluster_voters(2), 1);
    assert_int_equal(lab_cluster_voters(3), 3);
    assert_int_equal(lab_cluster_voters(16), 3);
}

static void add(struct lab_markers *markers, uint32_t boot, const char *line)
{
    assert_non_null(lab_markers_add(markers, 1, boot, line, strlen(line)));
}

static void test_what_was_heard_last(void **state)
{
    struct lab_markers markers;

    (void)state;
    lab_markers_init(&markers);
    assert_int_equal(lab_cluster_heard(&markers, 1), 0);
    add(&markers, 1, "RAYOS_CLUSTER_QUORATE:1");
    add(&markers, 1, "RAYOS_CLUSTER_QUORATE:3");
    assert_int_equal(lab_cluster_heard(&markers, 1), 3);
    assert_int_equal(lab_cluster_heard(&markers, 2), 0);
    add(&markers, 2, "RAYOS_CLUSTER_QUORATE:99999");
    assert_int_equal(lab_cluster_heard(&markers, 2), 0);
    lab_markers_fini(&markers);
}

int main(void)
{
#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    static const struct CMUnitTest tests[] = {
        CASE(test_create),
        CASE(test_a_cluster_has_a_plainer_name),
        CASE(test_join_by_a_hash_of_create),
        CASE(test_later_it_asks_all_others),
        CASE(test_each_token_once),
        CASE(test_the_token_of_operators_stays),
        cmocka_unit_test(test_voters),
        cmocka_unit_test(test_what_was_heard_last),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
