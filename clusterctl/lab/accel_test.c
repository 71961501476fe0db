/* accel_test.c - the choice with programs in QEMU's place that speak, stay silent or fail, and
 * once with the real one. */
#include <fcntl.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/atomic_file.h"
#include "base/clock.h"
#include "base/test.h"
#include "clusterctl/lab/accel.h"

struct rig {
    char folder[64];
    char qemu[96];
    char kernel[96];
    char memory[96];
    char count[96];
    struct ray_accel_config config;
};

static void write_file(const char *path, const char *text, mode_t mode)
{
    assert_int_equal(ray_atomic_write(AT_FDCWD, path, text, strlen(text), mode, NULL), RAY_OK);
    assert_int_equal(chmod(path, mode), 0);
}

static int set_up(void **state)
{
    struct rig *rig = calloc(1, sizeof *rig);

    assert_non_null(rig);
    (void)snprintf(rig->folder, sizeof rig->folder, "/tmp/accel_test.XXXXXX");
    assert_non_null(mkdtemp(rig->folder));
    (void)snprintf(rig->qemu, sizeof rig->qemu, "%s/qemu", rig->folder);
    (void)snprintf(rig->kernel, sizeof rig->kernel, "%s/kernel", rig->folder);
    (void)snprintf(rig->memory, sizeof rig->memory, "%s/accel.json", rig->folder);
    (void)snprintf(rig->count, sizeof rig->count, "%s/count", rig->folder);
    write_file(rig->kernel, "kernel", 0644);
    rig->config = (struct ray_accel_config){.qemu_path = rig->qemu,
                                            .kernel_path = rig->kernel,
                                            .state_dir = rig->folder,
                                            .kvm_path = "/dev/null",
                                            .probe_ms = 60000};
    *state = rig;
    return 0;
}

static int tear_down(void **state)
{
    struct rig *rig = *state;
    const char *const paths[] = {rig->qemu, rig->kernel, rig->memory, rig->count};

    for (size_t i = 0; i < 4; i++) {
        (void)unlink(paths[i]); /* where it is there */
    }
    assert_int_equal(rmdir(rig->folder), 0);
    free(rig);
    return 0;
}

/* Each run leaves a byte in `count`. */
static void fake_qemu(struct rig *rig, const char *script)
{
    char text[512];

    (void)snprintf(text, sizeof text, "#!/bin/sh\nprintf x >> %s\n%s\n", rig->count, script);
    write_file(rig->qemu, text, 0755);
}

static off_t run_count(const struct rig *rig)
{
    struct stat info;

    return stat(rig->count, &info) == 0 ? info.st_size : 0;
}

static void test_kernel_speaks(void **state)
{
    struct rig *rig = *state;
    struct ray_accel accel;

    fake_qemu(rig, "printf '['; exec sleep 600"); /* does not wait for its end */
    rig->config.choice = RAY_ACCEL_KVM;
    assert_int_equal(ray_accel_choose(&rig->config, &accel, NULL), RAY_OK);
    assert_true(accel.uses_kvm);
    assert_false(accel.was_remembered);
    assert_string_equal(accel.args[0], "-accel");
    assert_string_equal(accel.args[1], "kvm");
    assert_string_equal(accel.args[3], "host");
    assert_null(accel.args[4]);
}

static void test_speaks_and_ends(void **state)
{
    struct rig *rig = *state;
    struct ray_accel accel;

    fake_qemu(rig, "printf '['"); /* panic=-1: it may be gone before we look */
    assert_int_equal(ray_accel_choose(&rig->config, &accel, NULL), RAY_OK);
    assert_true(accel.uses_kvm);
}

static void test_silent(void **state)
{
    struct rig *rig = *state;
    struct ray_accel accel;

    fake_qemu(rig, "exec sleep 600");
    rig->config.probe_ms = 50;
    assert_int_equal(ray_accel_choose(&rig->config, &accel, NULL), RAY_OK);
    assert_false(accel.uses_kvm);
    assert_non_null(strstr(accel.reason, "printed nothing within 50 ms"));
    assert_string_equal(accel.args[1], "tcg,thread=multi");
    assert_string_equal(accel.args[3], "max");
}

static void test_fails(void **state)
{
    struct rig *rig = *state;
    struct ray_accel accel = {.uses_kvm = true};
    struct ray_err err = {0};

    fake_qemu(rig, "echo 'failed to initialize kvm: \001 no' >&2; echo more >&2; exit 3");
    assert_int_equal(ray_accel_choose(&rig->config, &accel, &err), RAY_OK);
    assert_false(accel.uses_kvm);
    assert_non_null(strstr(accel.reason, "exit status 3: failed to initialize kvm: \\x01 no"));
    assert_null(strstr(accel.reason, "more"));
    /* Demanded, it is an error, and the result stays as it was. */
    accel.uses_kvm = true;
    rig->config.choice = RAY_ACCEL_KVM;
    assert_int_equal(ray_accel_choose(&rig->config, &accel, &err), RAY_EUNAVAILABLE);
    assert_non_null(strstr(err.text, "exit status 3"));
    assert_true(accel.uses_kvm);
    assert_int_equal(run_count(rig), 1); /* the second time it was remembered */
}

static void test_cannot_run(void **state)
{
    struct rig *rig = *state;
    struct ray_accel accel;

    assert_int_equal(ray_accel_choose(&rig->config, &accel, NULL), RAY_OK); /* no such QEMU */
    assert_false(accel.uses_kvm);
    assert_non_null(strstr(accel.reason, "could not be probed"));
    assert_int_equal(access(rig->memory, F_OK), -1); /* that is no answer */
    write_file(rig->qemu, "no program", 0644);
    assert_int_equal(ray_accel_choose(&rig->config, &accel, NULL), RAY_OK);
    assert_non_null(strstr(accel.reason, "could not be probed"));
    fake_qemu(rig, "printf '['");
    rig->config.kvm_path = "/nonexistent/kvm";
    assert_int_equal(ray_accel_choose(&rig->config, &accel, NULL), RAY_OK);
    assert_non_null(strstr(accel.reason, "/nonexistent/kvm"));
    assert_int_equal(run_count(rig), 0);
    rig->config.choice = RAY_ACCEL_TCG;
    assert_int_equal(ray_accel_choose(&rig->config, &accel, NULL), RAY_OK);
    assert_false(accel.uses_kvm);
}

static void expect_runs(struct rig *rig, off_t count, bool is_remembered)
{
    struct ray_accel accel;

    assert_int_equal(ray_accel_choose(&rig->config, &accel, NULL), RAY_OK);
    assert_true(accel.uses_kvm);
    assert_int_equal(accel.was_remembered, is_remembered);
    assert_int_equal(run_count(rig), count);
}

/* Sets "boottime_s" of the memory. */
static void set_time(struct rig *rig, uint64_t boottime_s)
{
    uint8_t *data;
    size_t size;
    char *at;
    char text[4096];

    assert_int_equal(ray_file_read(AT_FDCWD, rig->memory, 4000, &data, &size, NULL), RAY_OK);
    at = strstr((char *)data, "\"boottime_s\": ");
    assert_non_null(at);
    *at = '\0';
    (void)snprintf(text, sizeof text, "%s\"boottime_s\": %llu%s", (char *)data,
                   (unsigned long long)boottime_s, strchr(at + 1, ','));
    write_file(rig->memory, text, 0644);
    free(data);
}

static void test_memory(void **state)
{
    struct rig *rig = *state;
    uint64_t now_s = ray_clock_boottime_ns() / RAY_NS_PER_S;

    fake_qemu(rig, "printf '['");
    expect_runs(rig, 1, false);
    expect_runs(rig, 1, true);
    /* Another kernel. */
    write_file(rig->kernel, "another kernel", 0644);
    expect_runs(rig, 2, false);
    expect_runs(rig, 2, true);
    /* From the future: another clock, so another boot. */
    set_time(rig, now_s + 10000);
    expect_runs(rig, 3, false);
    /* Too old (where the machine has run for that long). */
    if (now_s > RAY_ACCEL_REMEMBER_S + 60) {
        set_time(rig, now_s - RAY_ACCEL_REMEMBER_S - 60);
        expect_runs(rig, 4, false);
    } else {
        write_file(rig->memory, "{}", 0644);
        expect_runs(rig, 4, false);
    }
    /* Damaged. */
    write_file(rig->memory, "{\"key\": [1", 0644);
    expect_runs(rig, 5, false);
    /* Nowhere to keep it. */
    rig->config.state_dir = NULL;
    expect_runs(rig, 6, false);
    rig->config.state_dir = "/nonexistent";
    expect_runs(rig, 7, false);
}

/* Whatever this machine can do: the probe ends, says why, and leaves nothing behind. */
static void test_real(void **state)
{
    struct rig *rig = *state;
    struct ray_accel accel;
    glob_t kernels;

    if (glob("/opt/rayos/target-amd64/boot/vmlinuz-*", 0, NULL, &kernels) != 0) {
        skip();
    }
    assert_int_equal(unlink(rig->kernel), 0);
    (void)snprintf(rig->kernel, sizeof rig->kernel, "%s", kernels.gl_pathv[0]);
    globfree(&kernels);
    rig->config.qemu_path = "/usr/bin/qemu-system-x86_64";
    rig->config.kvm_path = NULL;
    rig->config.probe_ms = 0;
    assert_int_equal(ray_accel_choose(&rig->config, &accel, NULL), RAY_OK);
    print_message("%s: %s\n", accel.uses_kvm ? "kvm" : "tcg", accel.reason);
    assert_true(accel.reason[0] != '\0');
    rig->kernel[0] = '\0'; /* not ours to remove */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_kernel_speaks, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_speaks_and_ends, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_silent, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_fails, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_cannot_run, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_memory, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_real, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
