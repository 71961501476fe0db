#include <signal.h>
#include <string.h>

#include "base/test.h"
#include "node/core/core_report.h"

static char *make(const struct core_report *report, size_t *out_size)
{
    char *text = NULL;

    assert_int_equal(core_report_make(report, &text, out_size, NULL), RAY_OK);
    return text;
}

/* Bytes of every kind in all names: the text is valid and says them escaped. */
static void test_hostile_names(void **state)
{
    struct core_process process = {.pid = 1, .signal = SIGABRT, .dump_mode = CORE_DUMP_AS_USER};
    static struct core_notes notes = {.has_status = true, .module_count = CORE_MODULE_COUNT_MAX};
    const struct core_report report = {
        .process = &process, .notes = &notes, .kept = CORE_KEEP_INFO, .reason = "test"};
    char long_name[1000];
    struct core_summary summary;
    size_t size = 0;
    char *text;

    (void)state;
    memset(long_name, 0xff, sizeof long_name);
    long_name[sizeof long_name - 1] = '\0';
    memcpy(process.comm, "\"\\\x01\xc3\x28</script>", 14);
    memset(process.exe, 0xfe, sizeof process.exe - 1);
    for (size_t i = 0; i < CORE_MODULE_COUNT_MAX; i++) {
        notes.modules[i].name = long_name;
    }
    text = make(&report, &size);
    assert_true(size <= CORE_REPORT_SIZE_MAX);
    assert_int_equal(core_report_read(text, size, &summary, NULL), RAY_OK);
    assert_non_null(strstr(summary.comm, "\\x01\\xc3("));
    assert_string_equal(summary.signal, "SIGABRT");
    assert_string_equal(summary.what, summary.comm);
    for (size_t i = 0; i < size; i++) {
        assert_true(text[i] == '\n' || ((unsigned char)text[i] >= 0x20 && text[i] != 0x7f));
    }
    free(text);
}

static void test_reading_refuses(void **state)
{
    static const char *const bad[] = {
        "", "{", "[]", "{}", "null", "{\"time_s\":-1}", "{\"time_s\":\"1\",\"pid\":1}",
    };
    struct core_process process = {.pid = 1, .signal = SIGABRT};
    const struct core_report report = {.process = &process, .reason = ""};
    struct core_summary summary = {.pid = 77};
    size_t size = 0;
    char *text = make(&report, &size);

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(core_report_read(bad[i], strlen(bad[i]), &summary, NULL), RAY_EMALFORMED);
    }
    for (size_t n = 0; n + 2 < size; n++) { /* without its last brace it is no JSON */
        assert_int_equal(core_report_read(text, n, &summary, NULL), RAY_EMALFORMED);
    }
    assert_int_equal(core_report_read(text, CORE_REPORT_SIZE_MAX + 1, &summary, NULL), RAY_ETOOBIG);
    assert_int_equal(summary.pid, 77);
    free(text);
}

static void test_without_memory(void **state)
{
    struct core_process process = {.pid = 1, .signal = SIGABRT};
    const struct core_report report = {.process = &process, .reason = ""};

    (void)state;
    for (unsigned n = 1;; n++) {
        char *text = NULL;
        size_t size = 0;
        int rc;

        ray_test_fault_arm("alloc", n);
        rc = core_report_make(&report, &text, &size, NULL);
        if (!ray_test_fault_disarm()) {
            assert_int_equal(rc, RAY_OK);
            free(text);
            break;
        }
        assert_int_equal(rc, RAY_ENOMEM);
        assert_null(text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hostile_names),
        cmocka_unit_test(test_reading_refuses),
        cmocka_unit_test(test_without_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
