#include "base/test.h"
#include "clusterctl/policy/policy_file.h"
#include "coordinator/policy/policy_api.h"

struct fix {
    struct ray_buf rules;
    struct policy_file_problems problems;
    struct ray_err err;
};

static int setup(void **state)
{
    struct fix *fix = calloc(1, sizeof *fix);

    assert_non_null(fix);
    ray_buf_init(&fix->rules, POLICY_FILE_SIZE_MAX);
    *state = fix;
    return 0;
}

static int teardown(void **state)
{
    struct fix *fix = *state;

    ray_buf_fini(&fix->rules);
    free(fix);
    return 0;
}

static int read_text(struct fix *fix, const char *text)
{
    fix->rules.size = 0;
    return policy_file_read(text, strlen(text), &fix->rules, &fix->problems, &fix->err);
}

static void must_be(const struct fix *fix, size_t index, uint32_t line, uint32_t column,
                    const char *text)
{
    const struct policy_file_problem *problem = &fix->problems.list[index];

    assert_true(index < fix->problems.count);
    assert_string_equal(problem->text, text);
    assert_int_equal(problem->line, line);
    assert_int_equal(problem->column, column);
    assert_string_not_equal(problem->next_step, "");
}

static void test_all_keys(void **state)
{
    static const char text[] = "[[rule]]\n"
                               "name = \"small\"\n"
                               "effect = \"ask\"\n"
                               "who = [\"role:operator\", \"principal:ann\"]\n"
                               "action = [\"guest.*\"]\n"
                               "object = [\"guest:web-*\"]\n"
                               "labels = { \"env\" = \"test*\" }\n"
                               "on = [\"n1\"]\n"
                               "at_most = { vcpus = 4, memory_mib = 8192, disk_mib = 65536 }\n"
                               "approvers = [\"role:admin\"]\n"
                               "reason = \"say \\\"please\\\"\"\n";
    struct fix *fix = *state;
    struct coord_policy *policy;
    struct ray_buf printed;

    assert_int_equal(read_text(fix, text), RAY_OK);
    assert_int_equal(coord_policy_create(fix->rules.data, fix->rules.size, &policy, NULL), RAY_OK);
    ray_buf_init(&printed, 4096);
    assert_int_equal(coord_policy_print(policy, &printed, NULL), RAY_OK);
    assert_non_null(strstr((const char *)printed.data, text));
    ray_buf_fini(&printed);
    coord_policy_destroy(policy);
}

static void test_the_default_reads_as_itself(void **state)
{
    struct fix *fix = *state;
    struct coord_policy *policy;
    struct ray_buf rules;
    struct ray_buf text;
    struct ray_buf again;

    ray_buf_init(&rules, COORD_POLICY_SIZE_MAX);
    ray_buf_init(&text, POLICY_FILE_SIZE_MAX);
    ray_buf_init(&again, POLICY_FILE_SIZE_MAX);
    assert_int_equal(coord_policy_default(&rules, NULL), RAY_OK);
    assert_int_equal(coord_policy_create(rules.data, rules.size, &policy, NULL), RAY_OK);
    assert_int_equal(coord_policy_print(policy, &text, NULL), RAY_OK);
    coord_policy_destroy(policy);
    assert_int_equal(read_text(fix, (const char *)text.data), RAY_OK);
    assert_int_equal(coord_policy_create(fix->rules.data, fix->rules.size, &policy, NULL), RAY_OK);
    assert_int_equal(coord_policy_print(policy, &again, NULL), RAY_OK);
    assert_int_equal(text.size, again.size);
    assert_memory_equal(text.data, again.data, text.size);
    coord_policy_destroy(policy);
    ray_buf_fini(&rules);
    ray_buf_fini(&text);
    ray_buf_fini(&again);
}

/* Each at its place, in the order of the text, in one go. */
static void test_every_problem_is_told(void **state)
{
    static const char text[] = "speed = 3\n"
                               "[[rule]]\n"
                               "name = \"Bad Name\"\n"
                               "effect = \"alow\"\n"
                               "who = [\"role:boss\", \"ann\", 7]\n"
                               "action = []\n"
                               "objekt = [\"guest:a\"]\n"
                               "[[rule]]\n"
                               "name = \"two\"\n"
                               "effect = true\n"
                               "labels = [\"a\"]\n"
                               "at_most = { vcpus = 0, cpus = 2 }\n"
                               "[[rule]]\n"
                               "name = \"two\"\n"
                               "effect = \"deny\"\n"
                               "approvers = [\"role:admin\"]\n"
                               "[[rule]]\n"
                               "[[rule]]\n"
                               "name = \"three\"\n"
                               "effect = \"deny\"\n"
                               "object = [\"guest:db\"]\n"
                               "action = [\"registry.read\"]\n";
    struct fix *fix = *state;

    assert_int_equal(read_text(fix, text), RAY_EINVAL);
    must_be(fix, 0, 1, 1, "a policy has no key 'speed'");
    must_be(fix, 1, 3, 8, "not a name for a rule: 'Bad Name'");
    must_be(fix, 2, 4, 10, "not an effect: 'alow'");
    must_be(fix, 3, 5, 8, "no such role: 'role:boss'");
    must_be(fix, 4, 5, 21, "not an actor: 'ann'");
    must_be(fix, 5, 5, 28, "a whole number where a text belongs");
    must_be(fix, 6, 6, 10, "'action' is empty");
    must_be(fix, 7, 7, 1, "a rule has no key 'objekt'");
    must_be(fix, 8, 10, 10, "a value of another type where a text belongs");
    must_be(fix, 9, 11, 10, "a list where a table belongs");
    must_be(fix, 10, 12, 21, "'vcpus' is not between 1 and 4294967295");
    must_be(fix, 11, 12, 24, "'at_most' has no key 'cpus'");
    must_be(fix, 12, 14, 8, "a second rule 'two'; the first is in line 8");
    must_be(fix, 13, 16, 1, "a rule that does not ask has approvers");
    assert_int_equal(fix->problems.list[15].line, 17); /* neither name nor effect */
    must_be(fix, 16, 21, 1, "registry.read has no object: the rule would never match");
    assert_int_equal(fix->problems.count, 17);
    assert_int_equal(fix->rules.size, 0);
}

static void test_no_toml(void **state)
{
    struct fix *fix = *state;

    assert_int_equal(read_text(fix, "[[rule]]\nname = \"a\"\nname = \"b\"\n"), RAY_EINVAL);
    assert_int_equal(fix->problems.count, 1);
    assert_int_equal(fix->problems.list[0].line, 3);
    assert_true(strncmp(fix->problems.list[0].text, "no TOML: ", 9) == 0);
    assert_int_equal(read_text(fix, "[[rule]\n"), RAY_EINVAL);
    assert_int_equal(fix->problems.list[0].line, 1);
    assert_int_equal(read_text(fix, "name = \"\xff\xfe\"\n"), RAY_EINVAL);
    assert_int_equal(read_text(fix, ""), RAY_EINVAL);
    must_be(fix, 0, 1, 1, "there is no rule");
    assert_int_equal(read_text(fix, "rule = 3\n"), RAY_EINVAL);
    must_be(fix, 0, 1, 8, "a whole number where a list belongs");
    assert_int_equal(read_text(fix, "rule = [3]\n"), RAY_EINVAL);
    must_be(fix, 0, 1, 9, "a whole number where a table belongs");
}

static void test_control_characters(void **state)
{
    struct fix *fix = *state;
    static const char with_nul[] = "[[rule]]\n[\0\0a\"\n";

    assert_int_equal(
        policy_file_read(with_nul, sizeof with_nul - 1, &fix->rules, &fix->problems, &fix->err),
        RAY_EINVAL);
    must_be(fix, 0, 2, 2, "no TOML: a control character (0x00)");
    assert_int_equal(read_text(fix, "\t[[rule]]\r\nname=\"\x1b\""), RAY_EINVAL);
    must_be(fix, 0, 2, 7, "no TOML: a control character (0x1b)");
}

static void test_texts_that_lie(void **state)
{
    struct fix *fix = *state;

    assert_int_equal(
        read_text(fix, "[[rule]]\nname=\"a\"\neffect=\"deny\"\nreason = \"a\\u0000b\"\n"),
        RAY_EINVAL);
    must_be(fix, 0, 4, 10, "a text with a NUL in it");
    assert_int_equal(
        read_text(fix, "[[rule]]\nname=\"a\"\neffect=\"deny\"\nreason = \"a\\u001b[2J\"\n"),
        RAY_EINVAL);
    must_be(fix, 0, 4, 10, "not printable ASCII: 'a\\x1b[2J'");
}

static void test_deep_and_large(void **state)
{
    struct fix *fix = *state;
    char *text = calloc(1, POLICY_FILE_SIZE_MAX + 2);
    size_t size = 0;

    assert_non_null(text);
    assert_int_equal(read_text(fix, "a.b.c.d.e.f.g.h.i.j = 1\n"), RAY_EINVAL);
    assert_int_equal(fix->problems.count, 1);
    memset(text, '\n', POLICY_FILE_SIZE_MAX + 1);
    assert_int_equal(read_text(fix, text), RAY_ETOOBIG);
    for (int i = 0; i < 200; i++) {
        size += (size_t)snprintf(text + size, POLICY_FILE_SIZE_MAX - size, "k%d = 1\n", i);
    }
    text[size] = '\0';
    assert_int_equal(read_text(fix, text), RAY_EINVAL);
    assert_int_equal(fix->problems.count, POLICY_FILE_PROBLEMS_MAX);
    assert_int_equal(fix->problems.left_out, 200 - POLICY_FILE_PROBLEMS_MAX);
    size = 0;
    for (int i = 0; i < COORD_POLICY_RULES_MAX + 1; i++) {
        size += (size_t)snprintf(text + size, POLICY_FILE_SIZE_MAX - size,
                                 "[[rule]]\nname = \"r%d\"\neffect = \"deny\"\n", i);
    }
    assert_int_equal(read_text(fix, text), RAY_EINVAL);
    must_be(fix, 0, 1, 3, "1025 rules, at most 1024");
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_all_keys, setup, teardown),
        cmocka_unit_test_setup_teardown(test_the_default_reads_as_itself, setup, teardown),
        cmocka_unit_test_setup_teardown(test_every_problem_is_told, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_toml, setup, teardown),
        cmocka_unit_test_setup_teardown(test_control_characters, setup, teardown),
        cmocka_unit_test_setup_teardown(test_texts_that_lie, setup, teardown),
        cmocka_unit_test_setup_teardown(test_deep_and_large, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
