/* Only the decisions: unmount_all would take down the mounts of the machine that tests it. */
#include <string.h>

#include "base/err.h"
#include "base/test.h"
#include "node/init/unmount.h"

static int parse(const char *line, struct mount_line *out)
{
    return mount_line_parse(line, strlen(line), out);
}

static void test_parses(void **state)
{
    struct mount_line mount;

    (void)state;
    assert_int_equal(
        parse("36 35 98:0 /mnt1 /var/rayos rw,noatime master:1 - xfs /dev/vda1 rw", &mount),
        RAY_OK);
    assert_string_equal(mount.point, "/var/rayos");
    assert_string_equal(mount.type, "xfs");
    assert_true(mount_is_worth_it(&mount));
    assert_int_equal(parse("1 0 0:2 / / rw - rootfs rootfs rw", &mount), RAY_OK);
    assert_false(mount_is_worth_it(&mount));
    assert_int_equal(parse("1 0 0:2 / /a\\040b\\134 rw shared:1 - ext4 d rw", &mount), RAY_OK);
    assert_string_equal(mount.point, "/a b\\");
    assert_int_equal(parse("1 0 0:2 / /run rw - tmpfs tmpfs rw", &mount), RAY_OK);
    assert_false(mount_is_worth_it(&mount));
}

static void test_refuses(void **state)
{
    static const char *const bad[] = {"",
                                      "1",
                                      "1 2 3 4",
                                      "1 2 3 4 5",
                                      "1 2 3 4 relative rw - xfs d rw",
                                      "1 2 3 4 / rw",
                                      "1 2 3 4 /x rw -",
                                      "1 2 3 4 /x rw shared:1"};
    struct mount_line mount;
    char line[UNMOUNT_POINT_SIZE_MAX + 64];

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(parse(bad[i], &mount), RAY_EMALFORMED);
    }
    (void)snprintf(line, sizeof line, "1 2 3 4 /%0*d - xfs d rw", UNMOUNT_POINT_SIZE_MAX, 0);
    assert_int_equal(parse(line, &mount), RAY_ETOOBIG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parses),
        cmocka_unit_test(test_refuses),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
