/* The list of crashes from folders as the collector makes them, and from what else may lie there.
 */
#include <string.h>

#include "node/init/crashes.h"
#include "node/init/system/fake_root.h"

static void put_crash(const struct fake_root *root, const char *folder, const char *service,
                      const char *comm)
{
    struct core_process process = {.pid = 301, .time_s = 1700000000, .signal = 11};
    const struct core_report report = {
        .process = &process, .kept = CORE_KEEP_INFO, .reason = "rayos.cores=info"};
    char path[256];
    char *text = NULL;
    size_t size = 0;

    (void)snprintf(process.service, sizeof process.service, "%s", service);
    (void)snprintf(process.comm, sizeof process.comm, "%s", comm);
    assert_int_equal(core_report_make(&report, &text, &size, NULL), RAY_OK);
    (void)snprintf(path, sizeof path, CORE_STORE_FOLDER "/%s/core.json", folder);
    fake_put(root, path, text);
    free(text);
}

static void test_list(void **state)
{
    struct fake_root *root = *state;
    struct crashes_entry *entries = calloc(CRASHES_COUNT_MAX, sizeof *entries);
    size_t count = 99;

    assert_non_null(entries);
    assert_int_equal(crashes_read(root->fd, entries, &count, NULL), RAY_ENOTFOUND);
    assert_int_equal(count, 99);
    put_crash(root, "20231114T221320Z-a-301", "", "a");
    put_crash(root, "20231114T221321Z-rayosd-302", "rayosd", "main");
    put_crash(root, ".tmp-core-7", "", "half");
    fake_put(root, CORE_STORE_FOLDER "/20231114T221322Z-x-1/core.json", "{\"pid\": \"text\"}");
    fake_put(root, CORE_STORE_FOLDER "/20231114T221323Z-x-1/core", "no report");
    fake_put(root, CORE_STORE_FOLDER "/20231114T221324Z-file", "no folder");
    assert_int_equal(crashes_read(root->fd, entries, &count, NULL), RAY_OK);
    assert_int_equal(count, 2);
    assert_string_equal(entries[0].name, "20231114T221321Z-rayosd-302");
    assert_string_equal(entries[0].summary.what, "rayosd");
    assert_string_equal(entries[0].summary.signal, "SIGSEGV");
    assert_int_equal(entries[0].summary.pid, 301);
    assert_string_equal(entries[1].summary.what, "a");
    free(entries);
}

/* Below the folder's name there may be anything: a link is not followed. */
static void test_link_instead_of_folder(void **state)
{
    struct fake_root *root = *state;
    struct crashes_entry *entries = calloc(CRASHES_COUNT_MAX, sizeof *entries);
    size_t count = 0;

    assert_non_null(entries);
    fake_put(root, "crash/x", "");
    assert_int_equal(symlinkat("/", root->fd, CORE_STORE_FOLDER), 0);
    assert_true(crashes_read(root->fd, entries, &count, NULL) < 0);
    free(entries);
}

static void test_more_than_fit(void **state)
{
    struct fake_root *root = *state;
    struct crashes_entry *entries = calloc(CRASHES_COUNT_MAX, sizeof *entries);
    size_t count = 0;

    assert_non_null(entries);
    for (int i = 0; i < CRASHES_COUNT_MAX + 2; i++) {
        char name[64];

        (void)snprintf(name, sizeof name, "20231114T2213%02dZ-a-%d", i % 60, i + 100);
        put_crash(root, name, "", "a");
    }
    assert_int_equal(crashes_read(root->fd, entries, &count, NULL), RAY_OK);
    assert_int_equal(count, CRASHES_COUNT_MAX);
    assert_true(strcmp(entries[0].name, entries[1].name) > 0);
    free(entries);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_list, fake_root_setup, fake_root_teardown),
        cmocka_unit_test_setup_teardown(test_link_instead_of_folder, fake_root_setup,
                                        fake_root_teardown),
        cmocka_unit_test_setup_teardown(test_more_than_fit, fake_root_setup, fake_root_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
