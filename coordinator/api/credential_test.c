/* Credentials: what is taken, and every way in which a line can be wrong. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/test.h"
#include "coordinator/api/credential.h"

#define KEY "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

static char token_text[RAY_TOKEN_TEXT_SIZE_MAX];

static int make_token(void **state)
{
    struct ray_token *token = NULL;

    (void)state;
    if (ray_token_generate(&token, NULL) != RAY_OK ||
        ray_token_add_seed(token, "10.0.0.1:7001", NULL) != RAY_OK) {
        return 1;
    }
    ray_token_format(token, token_text);
    ray_token_destroy(token);
    return 0;
}

static int parse(const char *text, struct coord_credential *out)
{
    size_t size = strlen(text);
    uint8_t *exact = ray_test_copy(text, size);
    struct ray_err err = {0};
    int rc;

    *out = (struct coord_credential){.kind = COORD_CREDENTIAL_NONE};
    rc = coord_credential_parse((const char *)exact, size, out, &err);
    assert_true(rc == RAY_OK || err.text[0] != '\0');
    free(exact);
    return rc;
}

static void nothing_in_it(void **state)
{
    static const char *const texts[] = {"", "\n\n", "# a comment\n", "rayos.other=1\n", "x"};
    struct coord_credential credential;

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        assert_int_equal(parse(texts[i], &credential), RAY_OK);
        assert_int_equal(credential.kind, COORD_CREDENTIAL_NONE);
    }
}

static void check_join(const char *text)
{
    struct coord_credential credential;

    assert_int_equal(parse(text, &credential), RAY_OK);
    assert_int_equal(credential.kind, COORD_CREDENTIAL_JOIN);
    assert_int_equal(credential.token->seed_count, 1);
    assert_string_equal(credential.token->seeds[0], "10.0.0.1:7001");
    coord_credential_fini(&credential);
}

static void joins_by_line_or_bare_token(void **state)
{
    char text[RAY_TOKEN_TEXT_SIZE_MAX + 64];

    (void)state;
    (void)snprintf(text, sizeof text, "# for node b\nrayos.join=%s\n", token_text);
    check_join(text);
    (void)snprintf(text, sizeof text, "  rayos.join = %s  \r\n", token_text);
    check_join(text);
    (void)snprintf(text, sizeof text, "%s\n", token_text);
    check_join(text);
}

static void creates(void **state)
{
    struct coord_credential credential;

    (void)state;
    assert_int_equal(parse("rayos.create=name=demo  admin=alice:" KEY " timing=slow token=" KEY
                           " replace-token=" KEY,
                           &credential),
                     RAY_OK);
    assert_int_equal(credential.kind, COORD_CREDENTIAL_CREATE);
    assert_string_equal(credential.name, "demo");
    assert_string_equal(credential.admin, "alice");
    assert_int_equal(credential.admin_key[0], 0x00);
    assert_int_equal(credential.admin_key[31], 0xff);
    assert_string_equal(credential.timing, "slow");
    assert_int_equal(credential.token_count, 2);
    assert_int_equal(credential.tokens[1][1], 0x11);
    assert_false(credential.takes_place[0]);
    assert_true(credential.takes_place[1]);
    coord_credential_fini(&credential);
}

static void wrong_lines(void **state)
{
    static const char *const texts[] = {
        "rayos.join=",
        "rayos.join=rayos-join-1.AAAA",
        "rayos-join-1.",
        "rayos.create=",
        "rayos.create=name=demo",
        "rayos.create=admin=alice:" KEY,
        "rayos.create=name=demo admin=alice",
        "rayos.create=name=demo admin=:" KEY,
        "rayos.create=name=demo admin=alice:" KEY "0",
        "rayos.create=name=demo admin=alice:G0112233445566778899aabbccddeeff00112233445566778899"
        "aabbccddeeff",
        "rayos.create=name= admin=alice:" KEY,
        "rayos.create=name=demo admin=alice:" KEY " what=1",
        "rayos.create=name=demo admin=alice:" KEY " token=12",
        "rayos.create=name=demo admin=alice:" KEY "\nrayos.create=name=demo admin=alice:" KEY,
        "rayos.create=name=a-name-that-is-far-too-long-for-a-name-of-a-cluster-0123456789-"
        "0123456789"
        " admin=alice:" KEY,
    };
    struct coord_credential credential;

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        if (parse(texts[i], &credential) != RAY_EMALFORMED) {
            fail_msg("taken: %s", texts[i]);
        }
        assert_int_equal(credential.kind, COORD_CREDENTIAL_NONE);
    }
}

static void limits(void **state)
{
    static char text[COORD_CREDENTIAL_SIZE_MAX + 2];
    struct coord_credential credential;
    size_t size;

    (void)state;
    memset(text, '#', COORD_CREDENTIAL_SIZE_MAX);
    assert_int_equal(parse(text, &credential), RAY_OK);
    text[COORD_CREDENTIAL_SIZE_MAX] = '#';
    assert_int_equal(parse(text, &credential), RAY_ETOOBIG);

    size = (size_t)snprintf(text, sizeof text, "rayos.create=name=demo admin=alice:" KEY);
    for (size_t i = 0; i < COORD_CREDENTIAL_TOKENS_MAX; i++) {
        size += (size_t)snprintf(text + size, sizeof text - size, " token=" KEY);
    }
    assert_int_equal(parse(text, &credential), RAY_OK);
    coord_credential_fini(&credential);
    (void)snprintf(text + size, sizeof text - size, " token=" KEY);
    assert_int_equal(parse(text, &credential), RAY_EMALFORMED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_in_it), cmocka_unit_test(joins_by_line_or_bare_token),
        cmocka_unit_test(creates),       cmocka_unit_test(wrong_lines),
        cmocka_unit_test(limits),
    };

    return cmocka_run_group_tests(tests, make_token, NULL);
}
