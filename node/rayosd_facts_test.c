#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/test.h"
#include "net/proto/node.pb-c.h"
#include "node/rayosd_facts.h"

static void read_into(struct ray_buf *out, size_t size_max, const char *data_dir, int expected)
{
    int root_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    bool is_fit = false;

    assert_true(root_fd >= 0);
    ray_buf_init(out, size_max);
    assert_int_equal(rayosd_facts_read(root_fd, data_dir, out, &is_fit, NULL), expected);
    (void)close(root_fd);
}

static void test_what_is_told_of_this_machine(void **state)
{
    Rayos__Node__Facts *facts;
    struct ray_buf bytes;

    (void)state;
    read_into(&bytes, 32 << 10, "/not/there/yet", RAY_OK);
    facts = rayos__node__facts__unpack(NULL, bytes.size, bytes.data);
    assert_non_null(facts);
    assert_true(facts->cpu->count > 0 && facts->memory->total_bytes > 0);
    assert_true(facts->data_bytes > 0); /* also of a folder that is not there yet */
    assert_int_equal(facts->n_disks + facts->n_network_cards, 0);
    assert_true(facts->uptime_s == 0 && facts->memory->available_bytes == 0);
    rayos__node__facts__free_unpacked(facts, NULL);
    ray_buf_fini(&bytes);
}

/* Else it would be told again and again. */
static void test_it_stays_the_same(void **state)
{
    struct ray_buf one;
    struct ray_buf other;

    (void)state;
    read_into(&one, 32 << 10, "/", RAY_OK);
    read_into(&other, 32 << 10, "/", RAY_OK);
    assert_int_equal(one.size, other.size);
    assert_memory_equal(one.data, other.data, one.size);
    ray_buf_fini(&one);
    ray_buf_fini(&other);
}

static void test_limits(void **state)
{
    Rayos__Node__Facts *facts;
    struct ray_buf bytes;

    (void)state;
    read_into(&bytes, 8, "/", RAY_ETOOBIG);
    ray_buf_fini(&bytes);
    read_into(&bytes, 32 << 10, "/proc/self/status/data", RAY_OK);
    facts = rayos__node__facts__unpack(NULL, bytes.size, bytes.data);
    assert_non_null(facts);
    assert_true(facts->data_bytes == 0); /* a file is no folder */
    rayos__node__facts__free_unpacked(facts, NULL);
    ray_buf_fini(&bytes);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_told_of_this_machine),
        cmocka_unit_test(test_it_stays_the_same),
        cmocka_unit_test(test_limits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
