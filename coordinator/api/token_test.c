/* A token's text is told once: when the call is over, neither the text nor the secret is left in
 * the memory of the member or of the caller, which are both this process. */
#include <stdlib.h>
#include <string.h>

#include "base/test.h"
#include "base/test_memory.h"
#include "coordinator/api/member_fixture.h"
#include "net/token.h"

struct made {
    bool has_ended;
    size_t text_size;
    uint8_t masked_text[RAY_TOKEN_TEXT_SIZE_MAX];
    uint8_t masked_secret[RAY_TOKEN_SECRET_SIZE];
};

static void mask(const void *bytes, uint8_t *out, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        out[i] = ((const uint8_t *)bytes)[i] ^ RAY_TEST_MASK;
    }
}

static void on_made(void *arg, const struct ray_rpc_result *result)
{
    const Rayos__Cluster__TokenMade *body = (const Rayos__Cluster__TokenMade *)result->body;
    struct made *made = arg;
    struct ray_token *token = NULL;

    assert_int_equal(result->code, RAY_OK);
    assert_int_equal(ray_token_parse(&token, body->text, strlen(body->text), NULL), RAY_OK);
    made->text_size = strlen(body->text);
    mask(body->text, made->masked_text, made->text_size);
    mask(token->secret, made->masked_secret, sizeof made->masked_secret);
    ray_token_destroy(token);
    made->has_ended = true;
}

static bool has_ended(void *arg)
{
    return ((struct made *)arg)->has_ended;
}

static void nothing_of_a_token_is_left(void **state)
{
    struct member_fix *fix = *state;
    Rayos__Cluster__TokenRequest request = RAYOS__CLUSTER__TOKEN_REQUEST__INIT;
    struct made *made = calloc(1, sizeof *made);

    assert_int_equal(member_fix_start(fix, NULL, NULL), RAY_OK);
    member_fix_create_cluster(fix);
    assert_int_equal(ray_rpc_call_start(fix->client, "token.create", &request.base, NULL, 0,
                                        &rayos__cluster__token_made__descriptor, 0, NULL, on_made,
                                        made, NULL, NULL),
                     RAY_OK);
    assert_true(member_fix_run(fix, has_ended, made));
    /* From the middle of the text on: where it begins and ends is in every token. */
    assert_int_equal(ray_test_count_in_memory(made->masked_text + 20, 24), 0);
    assert_int_equal(ray_test_count_in_memory(made->masked_secret, sizeof made->masked_secret), 0);
    free(made);
}

static int open_fix(void **state)
{
    *state = calloc(1, sizeof(struct member_fix));
    member_fix_open(*state);
    return 0;
}

static int close_fix(void **state)
{
    member_fix_close(*state);
    free(*state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(nothing_of_a_token_is_left, open_fix, close_fix),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
