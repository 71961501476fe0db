/* What is written is read again; files that are none are refused; a history in which one value was
 * changed by hand is convicted. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/test.h"
#include "tests/hosted/history/history_file.h"
#include "tests/sim/check_linear.h"

static int read_text(const char *text, struct sim_history *out, struct ray_err *err)
{
    FILE *file = fmemopen((void *)(uintptr_t)text, strlen(text), "r");
    int rc;

    assert_non_null(file);
    rc = history_file_read(file, out, err);
    (void)fclose(file);
    return rc;
}

static bool is_linear(const char *text)
{
    struct sim_history history = {0};
    struct sim_verdict verdict = {0};

    assert_int_equal(read_text(text, &history, NULL), RAY_OK);
    assert_true(sim_check_linear(&history, SIM_LINEAR_STEPS_MAX, &verdict));
    sim_history_fini(&history);
    return !verdict.is_bad;
}

static const char good[] = "10 0 1 invoke write 0 101 0\n"
                           "11 1 1 invoke read 0 0 0\n"
                           "20 0 1 ok 101\n"
                           "21 1 1 ok 0\n"
                           "30 0 2 invoke swap 0 102 101\n"
                           "31 1 2 invoke swap 0 202 101\n"
                           "40 0 2 ok 102\n"
                           "41 1 2 fail\n"
                           "50 1 3 invoke write 0 203 0\n"
                           "60 0 3 invoke read 0 0 0\n"
                           "70 0 3 ok 203\n"
                           "71 1 3 unknown\n"
                           "80 0 4 invoke write 1 104 0\n";

static void test_good(void **state)
{
    struct sim_history history = {0};

    (void)state;
    assert_int_equal(read_text(good, &history, NULL), RAY_OK);
    assert_int_equal(history.count, 7);
    assert_true(history.ops[1].is_known && history.ops[1].value == 0);
    assert_true(history.ops[3].is_known && history.ops[3].has_failed);
    assert_false(history.ops[4].is_known);
    assert_true(history.ops[4].return_ns == UINT64_MAX);
    assert_false(history.ops[6].is_known);
    assert_int_equal(history.ops[6].key, 1);
    sim_history_fini(&history);
    assert_true(is_linear(good));
}

/* Each answer of a read, changed by hand, and each of a swap. */
static void test_changed_by_hand(void **state)
{
    static const struct {
        const char *from;
        const char *to;
    } changes[] = {
        {"21 1 1 ok 0\n", "21 1 1 ok 7\n"},
        {"70 0 3 ok 203\n", "70 0 3 ok 101\n"},
        {"70 0 3 ok 203\n", "70 0 3 ok 202\n"},
        {"41 1 2 fail\n", "41 1 2 ok 202\n"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        char text[sizeof good + 32];
        const char *at = strstr(good, changes[i].from);

        assert_non_null(at);
        (void)snprintf(text, sizeof text, "%.*s%s%s", (int)(at - good), good, changes[i].to,
                       at + strlen(changes[i].from));
        assert_false(is_linear(text));
    }
}

static void test_written_and_read(void **state)
{
    struct sim_history history = {0};
    struct sim_history again = {0};
    char *text = NULL;
    size_t size = 0;
    FILE *file = open_memstream(&text, &size);
    struct history_event event = {.kind = HISTORY_INVOKE,
                                  .at_ns = 5,
                                  .client = 3,
                                  .sequence = 9,
                                  .op = SIM_OP_SWAP,
                                  .key = 2,
                                  .value = UINT64_MAX,
                                  .expected = 1};

    (void)state;
    assert_non_null(file);
    assert_true(history_event_write(file, &event));
    event.kind = HISTORY_OK;
    event.at_ns = 6;
    assert_true(history_event_write(file, &event));
    (void)fclose(file);
    assert_int_equal(read_text(text, &history, NULL), RAY_OK);
    assert_int_equal(history.count, 1);
    assert_true(history.ops[0].kind == SIM_OP_SWAP && history.ops[0].value == UINT64_MAX &&
                history.ops[0].return_ns == 6 && history.ops[0].call_ns == 5);
    text[size - 1] = '\0'; /* killed while it wrote the answer */
    assert_int_equal(read_text(text, &again, NULL), RAY_OK);
    assert_false(again.ops[0].is_known);
    sim_history_fini(&history);
    sim_history_fini(&again);
    free(text);
}

static void test_malformed(void **state)
{
    static const char *const texts[] = {
        "x\n",
        "1 0 1 ok 5\n",                                         /* nobody asked */
        "1 0 1 invoke write 0 5\n",                             /* short */
        "1 0 1 invoke write 0 5 0 0\n",                         /* long */
        "1 0 1 invoke add 0 5 0\n",                             /* no such operation */
        "2 0 1 invoke write 0 5 0\n1 0 1 ok 5\n",               /* time goes back */
        "1 0 1 invoke write 0 5 0\n2 0 1 ok 6\n",               /* another value */
        "1 0 1 invoke write 0 5 0\n2 0 1 fail\n",               /* a write cannot */
        "1 0 1 invoke write 0 5 0\n2 0 1 ok 5\n3 0 1 ok 5\n",   /* twice */
        "1 0 1 invoke write 0 5 0\n2 0 1 invoke write 0 5 0\n", /* twice */
        "1 0 1 invoke write 4294967296 5 0\n",
        "\n",
        "1 0 1 gone\n",
    };

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct sim_history history = {0};
        struct ray_err err = {0};

        assert_int_equal(read_text(texts[i], &history, &err), RAY_EMALFORMED);
        assert_non_null(strstr(err.text, "line "));
        sim_history_fini(&history);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_changed_by_hand),
        cmocka_unit_test(test_written_and_read),
        cmocka_unit_test(test_malformed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
