/* switch_pcap_test.c - the file's bytes, its cap, and a disk that fails. */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/atomic_file.h"
#include "base/test.h"
#include "clusterctl/lab/switch_frame.h"
#include "clusterctl/lab/switch_pcap.h"

static char path[] = "/tmp/switch_pcap_test.XXXXXX";

static off_t file_size(void)
{
    struct stat info;

    assert_int_equal(stat(path, &info), 0);
    return info.st_size;
}

static void test_bytes(void **state)
{
    struct ray_switch_pcap pcap;
    uint8_t *data;
    size_t size;
    uint32_t words[10];
    (void)state;

    assert_int_equal(ray_switch_pcap_open(&pcap, path, 1 << 20, NULL), RAY_OK);
    assert_true(ray_switch_pcap_is_open(&pcap));
    ray_switch_pcap_write(&pcap, (const uint8_t *)"0123456789abcdef", 16,
                          UINT64_C(1700000000123456789));
    ray_switch_pcap_close(&pcap);
    assert_false(ray_switch_pcap_is_open(&pcap));
    ray_switch_pcap_close(&pcap); /* again: nothing to do */
    assert_int_equal(ray_file_read(AT_FDCWD, path, 1 << 20, &data, &size, NULL), RAY_OK);
    assert_int_equal(size, 24 + 16 + 16);
    memcpy(words, data, sizeof words);
    assert_int_equal(words[0], 0xa1b23c4d);
    assert_int_equal(words[5], 1);
    assert_int_equal(words[6], 1700000000);
    assert_int_equal(words[7], 123456789);
    assert_int_equal(words[8], 16);
    assert_int_equal(words[9], 16);
    assert_memory_equal(data + 40, "0123456789abcdef", 16);
    free(data);
}

static void test_cap(void **state)
{
    static const uint8_t frame[60];
    struct ray_switch_pcap pcap;
    (void)state;

    assert_int_equal(ray_switch_pcap_open(&pcap, path, 23, NULL), RAY_EINVAL);
    assert_int_equal(ray_switch_pcap_open(&pcap, path, 24 + 2 * 76 + 75, NULL), RAY_OK);
    for (int i = 0; i < 4; i++) {
        ray_switch_pcap_write(&pcap, frame, sizeof frame, 0);
    }
    assert_int_equal(pcap.frame_count, 2);
    assert_int_equal(pcap.skipped_count, 2);
    ray_switch_pcap_close(&pcap);
    assert_int_equal(file_size(), 24 + 2 * 76);
}

static void test_large_frames(void **state)
{
    uint8_t *frame = calloc(1, RAY_SWITCH_FRAME_SIZE_MAX);
    struct ray_switch_pcap pcap;
    (void)state;

    assert_non_null(frame);
    assert_int_equal(ray_switch_pcap_open(&pcap, path, 1 << 30, NULL), RAY_OK);
    for (int i = 0; i < 10; i++) {
        ray_switch_pcap_write(&pcap, frame, RAY_SWITCH_FRAME_SIZE_MAX, 0);
    }
    ray_switch_pcap_close(&pcap);
    assert_int_equal(file_size(), 24 + 10 * (16 + RAY_SWITCH_FRAME_SIZE_MAX));
    free(frame);
}

static void test_failures(void **state)
{
    static const uint8_t frame[60];
    static const char *const points[] = {"open", "alloc"};
    struct ray_switch_pcap pcap;
    struct ray_err err = {0};
    (void)state;

    assert_int_equal(ray_switch_pcap_open(&pcap, "/nonexistent/x.pcap", 1 << 20, &err),
                     RAY_ENOTFOUND);
    assert_non_null(strstr(err.text, "/nonexistent/x.pcap"));
    for (size_t i = 0; i < 2; i++) {
        ray_test_fault_arm(points[i], 1);
        assert_true(ray_switch_pcap_open(&pcap, path, 1 << 20, &err) < 0 || !ray_fault_has_fired());
        (void)ray_test_fault_disarm();
        ray_switch_pcap_close(&pcap);
    }
    assert_int_equal(ray_switch_pcap_open(&pcap, path, 1 << 20, &err), RAY_OK);
    ray_test_fault_arm("write", 1);
    ray_switch_pcap_flush(&pcap);
    assert_int_equal(pcap.has_failed, ray_test_fault_disarm());
    ray_switch_pcap_write(&pcap, frame, sizeof frame, 0);
    assert_int_equal(pcap.skipped_count, pcap.has_failed);
    ray_switch_pcap_close(&pcap);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_cap),
        cmocka_unit_test(test_large_frames),
        cmocka_unit_test(test_failures),
    };
    int fd = mkstemp(path);
    int failed;

    if (fd < 0) {
        perror(path);
        return 1;
    }
    (void)close(fd);
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    (void)unlink(path);
    return failed;
}
