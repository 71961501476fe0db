/* An incarnation outlives the process, not the kernel's boot. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/atomic_file.h"
#include "base/test.h"
#include "coordinator/api/impl.h"

static char dir[128];

static int make_dir(void **state)
{
    const char *tmp = getenv("TMPDIR");

    (void)state;
    (void)snprintf(dir, sizeof dir, "%s/incarnation-XXXXXX", tmp == NULL ? "/tmp" : tmp);
    return mkdtemp(dir) == NULL;
}

static int remove_dir(void **state)
{
    char path[192];

    (void)state;
    (void)snprintf(path, sizeof path, "%s/incarnation", dir);
    (void)unlink(path); /* one test leaves none */
    return rmdir(dir);
}

static void put(const char *text)
{
    char path[192];

    (void)snprintf(path, sizeof path, "%s/incarnation", dir);
    assert_int_equal(ray_atomic_write(AT_FDCWD, path, text, strlen(text), S_IRUSR | S_IWUSR, NULL),
                     RAY_OK);
}

static struct ray_id ask(void)
{
    struct ray_id id;
    struct ray_err err = {0};

    assert_int_equal(member_incarnation(dir, &id, &err), RAY_OK);
    assert_false(ray_id_is_none(&id));
    return id;
}

static void stays_in_one_boot(void **state)
{
    struct ray_id first = ask();
    struct ray_id second = ask();

    (void)state;
    assert_true(ray_id_equal(&first, &second));
}

static void is_new_after_another_boot(void **state)
{
    static const char old_id[] = "0123456789abcdef0123456789abcdef";
    struct ray_id old;
    struct ray_id now;

    (void)state;
    assert_int_equal(ray_id_parse(old_id, &old, NULL), RAY_OK);
    put("00000000-0000-0000-0000-000000000000 0123456789abcdef0123456789abcdef\n");
    now = ask();
    assert_false(ray_id_equal(&now, &old));
    old = ask();
    assert_true(ray_id_equal(&now, &old)); /* it was kept */
}

static void is_new_when_the_file_is_no_good(void **state)
{
    static const char *const texts[] = {"", "x", "x y z", "00000000 \n", "0"};
    struct ray_id before = ask();

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct ray_id now;

        put(texts[i]);
        now = ask();
        assert_false(ray_id_equal(&now, &before));
        before = now;
    }
}

static void says_when_it_cannot_be_kept(void **state)
{
    struct ray_id id = {{0}};
    struct ray_err err = {0};

    (void)state;
    assert_int_not_equal(member_incarnation("/nowhere/at/all", &id, &err), RAY_OK);
    assert_true(ray_id_is_none(&id));
    assert_string_not_equal(err.text, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(stays_in_one_boot, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(is_new_after_another_boot, make_dir, remove_dir),
        cmocka_unit_test_setup_teardown(is_new_when_the_file_is_no_good, make_dir, remove_dir),
        cmocka_unit_test(says_when_it_cannot_be_kept),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
