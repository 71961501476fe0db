/* policy_file_fuzz.c - any text as a policy: problems lie in it, and what is taken is a policy that
 * prints as a text that says the same. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "clusterctl/policy/policy_file.h"
#include "coordinator/policy/policy_api.h"

enum { TEXT_SIZE_MAX = 4 << 20 };

static void must_print_as_itself(const struct ray_buf *rules)
{
    struct policy_file_problems *problems = calloc(1, sizeof *problems);
    struct coord_policy *policy;
    struct coord_policy *again;
    struct ray_buf text;
    struct ray_buf other;
    struct ray_buf twin;
    int rc = coord_policy_create(rules->data, rules->size, &policy, NULL);

    assert(problems != NULL && rc == RAY_OK);
    ray_buf_init(&text, TEXT_SIZE_MAX);
    ray_buf_init(&twin, TEXT_SIZE_MAX);
    ray_buf_init(&other, POLICY_FILE_SIZE_MAX);
    rc = coord_policy_print(policy, &text, NULL);
    assert(rc == RAY_OK);
    rc = policy_file_read((const char *)text.data, text.size, &other, problems, NULL);
    if (rc == RAY_OK) { /* escapes may make it larger than a file may be */
        rc = coord_policy_create(other.data, other.size, &again, NULL);
        assert(rc == RAY_OK && coord_policy_print(again, &twin, NULL) == RAY_OK);
        assert(twin.size == text.size && memcmp(twin.data, text.data, text.size) == 0);
        coord_policy_destroy(again);
    } else {
        assert(text.size > POLICY_FILE_SIZE_MAX || other.size == 0);
        assert(text.size > COORD_POLICY_SIZE_MAX);
    }
    coord_policy_destroy(policy);
    ray_buf_fini(&text);
    ray_buf_fini(&twin);
    ray_buf_fini(&other);
    free(problems);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct policy_file_problems *problems = calloc(1, sizeof *problems);
    struct ray_buf rules;
    int rc;

    assert(problems != NULL);
    ray_buf_init(&rules, POLICY_FILE_SIZE_MAX);
    rc = policy_file_read((const char *)data, size, &rules, problems, NULL);
    if (rc == RAY_OK) {
        assert(problems->count == 0);
        must_print_as_itself(&rules);
    } else if (rc == RAY_EINVAL) {
        assert(problems->count > 0 && rules.size == 0);
        for (size_t i = 0; i < problems->count; i++) {
            assert(problems->list[i].line >= 1 && problems->list[i].text[0] != '\0');
        }
    }
    ray_buf_fini(&rules);
    free(problems);
    return 0;
}
