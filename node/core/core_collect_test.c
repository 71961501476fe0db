/* The whole work behind the sandbox: a pipe with a made core, a file as the process's memory, a
 * folder; then each fault, after which the folder holds whole crashes only. */
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "node/core/core_collect.h"
#include "node/core/core_fixture.h"
#include "node/core/core_report.h"
#include "node/init/system/fake_root.h"

static const struct core_limits limits = {
    .disk_bytes_max = 1 << 20,
    .size_bytes_max = 1 << 20,
    .total_bytes_max = 4 << 20,
    .folder_count_max = 64,
};

/* The beginning of the program and of the library; between them is no ELF file. */
static int make_memory(void)
{
    int fd = memfd_create("memory", MFD_CLOEXEC);
    uint8_t page[CORE_PAGE_SIZE];

    assert_true(fd >= 0);
    (void)core_fixture_elf(page, 0x11, 20);
    assert_int_equal(pwrite(fd, page, sizeof page, FIXTURE_PROGRAM_AT), sizeof page);
    (void)core_fixture_elf(page, 0x22, 20);
    assert_int_equal(pwrite(fd, page, sizeof page, FIXTURE_LIBRARY_AT), sizeof page);
    return fd;
}

static int make_stream(const struct core_fixture *fixture, size_t size)
{
    int fd = memfd_create("stream", MFD_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, fixture->bytes, size), size);
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    return fd;
}

struct setting {
    struct core_fixture fixture;
    struct core_process process;
    struct core_job job;
};

static struct setting *make_setting(const struct fake_root *root)
{
    struct setting *setting = calloc(1, sizeof *setting);

    assert_non_null(setting);
    core_fixture_make(&setting->fixture, 0);
    setting->process = (struct core_process){.wanted = CORE_KEEP_MEMORY,
                                             .pid = 301,
                                             .signal = SIGSEGV,
                                             .time_s = 1700000000,
                                             .dump_mode = CORE_DUMP_AS_USER,
                                             .comm = "victim",
                                             .exe = "/usr/bin/victim",
                                             .service = "sample"};
    setting->job =
        (struct core_job){.process = &setting->process,
                          .stream_fd = make_stream(&setting->fixture, setting->fixture.size),
                          .memory_fd = make_memory(),
                          .rate_fd = memfd_create("rate", MFD_CLOEXEC),
                          .cores_fd = root->fd,
                          .limits = &limits,
                          .deadline_ns = ray_clock_monotonic_ns() + 600 * RAY_NS_PER_S};
    return setting;
}

static void free_setting(struct setting *setting)
{
    (void)close(setting->job.stream_fd);
    (void)close(setting->job.memory_fd);
    (void)close(setting->job.rate_fd);
    free(setting);
}

static void read_summary(const struct fake_root *root, const char *folder, struct core_summary *out,
                         char text[static 4096])
{
    char path[128];

    (void)snprintf(path, sizeof path, "%s/core.json", folder);
    (void)fake_get(root, path, text);
    assert_int_equal(core_report_read(text, strlen(text), out, NULL), RAY_OK);
}

static void test_all_of_it(void **state)
{
    struct fake_root *root = *state;
    struct setting *setting = make_setting(root);
    struct core_outcome outcome;
    struct core_summary summary;
    char text[4096];
    struct stat info;

    core_collect(&setting->job, &outcome);
    assert_int_equal(outcome.kept, CORE_KEEP_MEMORY);
    assert_string_equal(outcome.reason, "");
    assert_string_equal(outcome.folder, "20231114T221320Z-victim-301");
    assert_int_equal(fstatat(root->fd, "20231114T221320Z-victim-301/core", &info, 0), 0);
    assert_int_equal(info.st_size, setting->fixture.size);
    read_summary(root, outcome.folder, &summary, text);
    assert_string_equal(summary.what, "sample");
    assert_string_equal(summary.signal, "SIGSEGV");
    assert_string_equal(summary.build_id, "1111111111111111111111111111111111111111");
    assert_string_equal(summary.kept, "memory");
    assert_false(summary.is_truncated);
    assert_non_null(strstr(text, "\"pc_module\": \"/usr/lib/libc.so.6\""));
    assert_non_null(strstr(text, "\"pc_offset\": \"0x1234\""));
    assert_non_null(strstr(text, "\"rip\": \"0x7001234\""));
    assert_non_null(strstr(text, "2222222222222222222222222222222222222222"));
    assert_null(strstr(text, "/var/data")); /* mapped, but no program */
    free_setting(setting);
}

static void test_info_only(void **state)
{
    struct fake_root *root = *state;
    struct setting *setting = make_setting(root);
    struct core_outcome outcome;
    struct core_summary summary;
    char text[4096];

    setting->process.wanted = CORE_KEEP_INFO;
    core_collect(&setting->job, &outcome);
    assert_int_equal(outcome.kept, CORE_KEEP_INFO);
    assert_string_equal(outcome.reason, "rayos.cores=info");
    assert_false(fake_has(root, "20231114T221320Z-victim-301/core"));
    read_summary(root, outcome.folder, &summary, text);
    assert_string_equal(summary.build_id, "1111111111111111111111111111111111111111");
    assert_int_equal(summary.size_bytes, 0);
    free_setting(setting);
}

/* A process that changed its user: neither memory nor registers. */
static void test_protected_process(void **state)
{
    struct fake_root *root = *state;
    struct setting *setting = make_setting(root);
    struct core_outcome outcome;
    struct core_summary summary;
    char text[4096];

    setting->process.dump_mode = 2;
    core_collect(&setting->job, &outcome);
    assert_int_equal(outcome.kept, CORE_KEEP_INFO);
    assert_false(fake_has(root, "20231114T221320Z-victim-301/core"));
    read_summary(root, outcome.folder, &summary, text);
    assert_null(strstr(text, "\"rip\""));
    assert_non_null(strstr(text, "\"pc\""));
    free_setting(setting);
}

static void test_too_large(void **state)
{
    static const struct core_limits tight = {.disk_bytes_max = UINT64_C(2) * CORE_BLOCK_SIZE,
                                             .size_bytes_max = 1 << 20,
                                             .total_bytes_max = 1 << 20,
                                             .folder_count_max = 8};
    struct fake_root *root = *state;
    struct setting *setting = make_setting(root);
    struct core_outcome outcome;
    struct core_summary summary;
    char text[4096];

    setting->job.limits = &tight;
    core_collect(&setting->job, &outcome);
    assert_int_equal(outcome.kept, CORE_KEEP_MEMORY);
    read_summary(root, outcome.folder, &summary, text);
    assert_true(summary.is_truncated);
    assert_int_equal(summary.size_bytes, UINT64_C(2) * CORE_BLOCK_SIZE);
    assert_string_not_equal(summary.build_id, "");
    free_setting(setting);
}

/* A stream that stops in the middle ends at the deadline, with what came. */
static void test_deadline(void **state)
{
    struct fake_root *root = *state;
    struct setting *setting = make_setting(root);
    struct core_outcome outcome;
    struct core_summary summary;
    char text[4096];
    int pipe_fds[2];

    assert_int_equal(pipe2(pipe_fds, O_CLOEXEC), 0);
    assert_int_equal(write(pipe_fds[1], setting->fixture.bytes, 1000), 1000);
    (void)close(setting->job.stream_fd);
    setting->job.stream_fd = pipe_fds[0];
    setting->job.deadline_ns = ray_clock_monotonic_ns() + 20 * RAY_NS_PER_MS;
    core_collect(&setting->job, &outcome);
    assert_int_equal(outcome.kept, CORE_KEEP_MEMORY);
    assert_string_equal(outcome.reason, "it took too long");
    read_summary(root, outcome.folder, &summary, text);
    assert_true(summary.is_truncated);
    assert_int_equal(summary.size_bytes, 1000);
    (void)close(pipe_fds[1]);
    free_setting(setting);
}

static void test_no_core_at_all(void **state)
{
    struct fake_root *root = *state;
    struct setting *setting = make_setting(root);
    struct core_outcome outcome;
    struct core_summary summary;
    char text[4096];

    setting->fixture.bytes[0] = 'x';
    (void)close(setting->job.stream_fd);
    setting->job.stream_fd = make_stream(&setting->fixture, setting->fixture.size);
    core_collect(&setting->job, &outcome);
    assert_non_null(strstr(outcome.reason, "not a 64-bit"));
    read_summary(root, outcome.folder, &summary, text);
    assert_string_equal(summary.build_id, "");
    free_setting(setting);
}

static void test_storm(void **state)
{
    struct fake_root *root = *state;
    struct setting *setting = make_setting(root);
    struct core_outcome outcome;
    int counts[3] = {0};

    for (uint64_t i = 0; i < 40; i++) {
        setting->process.pid = 1000 + i;
        assert_int_equal(lseek(setting->job.stream_fd, 0, SEEK_SET), 0);
        core_collect(&setting->job, &outcome);
        counts[outcome.kept]++;
    }
    assert_int_equal(counts[CORE_KEEP_MEMORY], 2);
    assert_int_equal(counts[CORE_KEEP_INFO], 6);
    assert_int_equal(counts[CORE_KEEP_NOTHING], 32);
    assert_string_equal(outcome.reason, "too many crashes");
    free_setting(setting);
}

static void test_without_descriptors(void **state)
{
    struct fake_root *root = *state;
    struct setting *setting = make_setting(root);
    struct core_job job = setting->job;
    struct core_outcome outcome;

    job.rate_fd = -1;
    job.memory_fd = -1;
    core_collect(&job, &outcome);
    assert_int_equal(outcome.kept, CORE_KEEP_INFO); /* nobody counts: no memory */
    job.cores_fd = -1;
    core_collect(&job, &outcome);
    assert_int_equal(outcome.kept, CORE_KEEP_NOTHING);
    assert_string_equal(outcome.reason, "there is no folder for cores");
    free_setting(setting);
}

static void test_faults(void **state)
{
    static const char *const points[] = {"alloc", "open", "read", "write", "fsync", "rename"};
    struct fake_root *root = *state;

    for (size_t p = 0; p < sizeof points / sizeof points[0]; p++) {
        for (unsigned n = 1;; n++) {
            struct setting *setting = make_setting(root);
            struct core_outcome outcome;
            bool has_fired;

            setting->process.pid = p * 1000 + n;
            ray_test_fault_arm(points[p], n);
            core_collect(&setting->job, &outcome);
            has_fired = ray_test_fault_disarm();
            if (outcome.folder[0] != '\0') {
                struct core_summary summary;
                char text[4096];

                read_summary(root, outcome.folder, &summary, text);
            } else {
                assert_true(outcome.kept == CORE_KEEP_NOTHING && outcome.reason[0] != '\0');
            }
            free_setting(setting);
            if (!has_fired) {
                assert_int_equal(outcome.kept, CORE_KEEP_MEMORY);
                break;
            }
        }
    }
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, fake_root_setup, fake_root_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_all_of_it),
        CASE(test_info_only),
        CASE(test_protected_process),
        CASE(test_too_large),
        CASE(test_deadline),
        CASE(test_no_core_at_all),
        CASE(test_storm),
        CASE(test_without_descriptors),
        CASE(test_faults),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
