#include <ctype.h>

#include "base/test.h"
#include "net/claim.h"

static void test_typed_code_gives_the_psk(void **state)
{
    struct ray_claim *claim = NULL;
    uint8_t shown[RAY_CLAIM_PSK_SIZE];
    uint8_t typed[RAY_CLAIM_PSK_SIZE];
    char spaced[RAY_WORDS_TEXT_SIZE];

    (void)state;
    assert_int_equal(ray_claim_create(&claim, NULL), RAY_OK);
    assert_int_equal(ray_claim_begin(claim, shown, NULL), RAY_OK);
    (void)snprintf(spaced, sizeof spaced, "%s", ray_claim_code(claim));
    for (char *at = spaced; *at != '\0'; at++) {
        if (*at == '-') {
            *at = ' '; /* as people type */
        }
    }
    assert_int_equal(ray_claim_psk(spaced, typed, NULL), RAY_OK);
    assert_memory_equal(shown, typed, sizeof shown);
    assert_int_equal(ray_claim_psk("acid acid acid acid acid acid acid acid", typed, NULL), RAY_OK);
    assert_memory_not_equal(shown, typed, sizeof shown);
    assert_int_equal(ray_claim_psk("acid acid", typed, NULL), RAY_EINVAL);
    assert_int_equal(ray_claim_psk("acid acid acid acid acid acid acid nonsense", typed, NULL),
                     RAY_EINVAL);
    assert_int_equal(ray_claim_end(claim, true, NULL), RAY_OK);
    ray_claim_destroy(claim);
}

static void test_three_tries(void **state)
{
    struct ray_claim *claim = NULL;
    uint8_t first[RAY_CLAIM_PSK_SIZE];
    uint8_t psk[RAY_CLAIM_PSK_SIZE];
    char code[RAY_WORDS_TEXT_SIZE];

    (void)state;
    assert_int_equal(ray_claim_create(&claim, NULL), RAY_OK);
    (void)snprintf(code, sizeof code, "%s", ray_claim_code(claim));
    /* Three at once, no more. */
    for (int i = 0; i < RAY_CLAIM_TRIES_MAX; i++) {
        assert_int_equal(ray_claim_begin(claim, first, NULL), RAY_OK);
    }
    assert_int_equal(ray_claim_begin(claim, psk, NULL), RAY_EUNAVAILABLE);
    assert_int_equal(ray_claim_end(claim, false, NULL), RAY_OK);
    assert_int_equal(ray_claim_begin(claim, psk, NULL), RAY_EUNAVAILABLE);
    /* A right one does not use up a try. */
    assert_int_equal(ray_claim_end(claim, true, NULL), RAY_OK);
    assert_int_equal(ray_claim_begin(claim, psk, NULL), RAY_OK);
    assert_int_equal(ray_claim_end(claim, false, NULL), RAY_OK);
    assert_string_equal(ray_claim_code(claim), code);
    assert_int_equal(ray_claim_end(claim, false, NULL), RAY_ECONFLICT);
    assert_string_not_equal(ray_claim_code(claim), code);
    assert_int_equal(ray_claim_begin(claim, psk, NULL), RAY_OK);
    assert_memory_not_equal(first, psk, sizeof psk);
    assert_int_equal(ray_claim_end(claim, true, NULL), RAY_OK);
    ray_claim_destroy(claim);
}

static void test_no_memory(void **state)
{
    uint8_t psk[RAY_CLAIM_PSK_SIZE];
    struct ray_claim *claim = NULL;

    (void)state;
    for (unsigned n = 1;; n++) {
        int rc;

        ray_test_fault_arm("alloc", n);
        rc = ray_claim_create(&claim, NULL);
        if (!ray_test_fault_disarm()) {
            assert_int_equal(rc, RAY_OK);
            break;
        }
        assert_int_equal(rc, RAY_ENOMEM);
        assert_null(claim);
    }
    /* Without a new code the old one must not live on. */
    ray_test_fault_arm("alloc", 1);
    if (ray_claim_renew(claim, NULL) != RAY_OK) {
        assert_string_equal(ray_claim_code(claim), "");
        assert_int_equal(ray_claim_begin(claim, psk, NULL), RAY_EUNAVAILABLE);
    }
    (void)ray_test_fault_disarm();
    assert_int_equal(ray_claim_renew(claim, NULL), RAY_OK);
    assert_int_equal(ray_claim_begin(claim, psk, NULL), RAY_OK);
    assert_int_equal(ray_claim_end(claim, true, NULL), RAY_OK);
    ray_claim_destroy(claim);
    ray_claim_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_typed_code_gives_the_psk),
        cmocka_unit_test(test_three_tries),
        cmocka_unit_test(test_no_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
