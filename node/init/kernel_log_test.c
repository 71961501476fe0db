#include <string.h>
#include <sys/stat.h>

#include "base/loop.h"
#include "node/init/kernel_log.h"
#include "node/init/system/fake_root.h"

static int parse(const char *record, struct kernel_record *out)
{
    return kernel_record_parse(record, strlen(record), out);
}

static void test_parses(void **state)
{
    struct kernel_record record;

    (void)state;
    assert_int_equal(parse("4,339,5140900,-;NET: Registered\n SUBSYSTEM=net\n", &record), RAY_OK);
    assert_int_equal(record.level, RAY_LOG_WARN);
    assert_true(record.is_kernel);
    assert_int_equal(record.sequence, 339);
    assert_int_equal(record.time_us, 5140900);
    assert_int_equal(record.text_size, 15);
    assert_memory_equal(record.text, "NET: Registered", 15);
    assert_int_equal(parse("30,1,2,-,caller=T1;hello", &record), RAY_OK);
    assert_false(record.is_kernel); /* facility 3: a daemon */
    assert_int_equal(record.level, RAY_LOG_INFO);
    assert_int_equal(parse("0,1,2,-;panic", &record), RAY_OK);
    assert_int_equal(record.level, RAY_LOG_ERROR);
}

static void test_refuses(void **state)
{
    static const char *const bad[] = {"",    ";",        "4",       "4,",
                                      "4,3", "4,3,",     "4,3,2",   "x,1,2;t",
                                      "4;3", ",1,2,-;t", "4,1,-;x", "-4,1,2,-;x"};
    struct kernel_record record;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(parse(bad[i], &record), RAY_EMALFORMED);
    }
}

struct lines {
    char text[8192];
    size_t size;
    int count;
};

static void take(void *arg, enum ray_log_level level, const char *line, size_t size)
{
    struct lines *lines = arg;

    (void)level;
    assert_true(lines->size + size + 2 < sizeof lines->text);
    memcpy(lines->text + lines->size, line, size);
    lines->size += size;
    lines->text[lines->size++] = '\n';
    lines->text[lines->size] = '\0';
    lines->count++;
}

/* A packet-like stand-in for /dev/kmsg: one record per read through a FIFO. */
static void test_reads_records(void **state)
{
    const struct fake_root *root = *state;
    struct ray_loop loop;
    struct kernel_log log;
    struct lines lines = {0};
    char path[128];
    int fd;

    (void)snprintf(path, sizeof path, "%s/kmsg", root->path);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(ray_loop_init(&loop, NULL), RAY_OK);
    assert_int_equal(kernel_log_init(&log, &loop, path, take, &lines, NULL), RAY_OK);
    fd = open(path, O_WRONLY);
    assert_true(fd >= 0);
    assert_true(write(fd, "6,10,77,-;first \x1b[1m\n", 20) == 20);
    ray_loop_once(&loop);
    assert_true(write(fd, "4,15,99,-;second\n", 17) == 17);
    ray_loop_once(&loop);
    assert_true(write(fd, "no record\n", 10) == 10);
    ray_loop_once(&loop);
    assert_non_null(strstr(lines.text, "77 info kernel first \\x1b[1m"));
    assert_non_null(strstr(lines.text, "4 records overwritten"));
    assert_non_null(strstr(lines.text, "99 warn kernel second\n"));
    assert_int_equal(lines.count, 3);
    (void)close(fd);
    ray_loop_once(&loop); /* the writer left: no busy loop */
    kernel_log_fini(&log);
    ray_loop_fini(&loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parses),
        cmocka_unit_test(test_refuses),
        cmocka_unit_test_setup_teardown(test_reads_records, fake_root_setup, fake_root_teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
