/* entropy_test.c - the rule that matters: no seed counts twice, whatever fails. */
#include "node/init/system/entropy.h"
#include "node/init/system/fake_root.h"

enum { FILE_SIZE = 8 + INIT_ENTROPY_SEED_SIZE + 32 };

static struct init_entropy_device open_device(const struct fake_root *root, const char *name)
{
    struct init_entropy_device device = {.can_credit = false};

    device.fd = openat(root->fd, name, O_RDWR | O_CREAT | O_CLOEXEC | O_APPEND, 0600);
    assert_true(device.fd >= 0);
    return device;
}

static void read_seed(const struct fake_root *root, uint8_t out[static FILE_SIZE])
{
    uint8_t *data = NULL;
    size_t size = 0;

    assert_int_equal(ray_file_read(root->fd, INIT_ENTROPY_SEED_FILE, 4096, &data, &size, NULL),
                     RAY_OK);
    assert_int_equal(size, FILE_SIZE);
    memcpy(out, data, FILE_SIZE);
    free(data);
}

static off_t device_size(const struct init_entropy_device *device)
{
    struct stat st;

    assert_int_equal(fstat(device->fd, &st), 0);
    return st.st_size;
}

static void test_first_boot(void **state)
{
    struct fake_root *root = *state;
    struct init_entropy_device device = open_device(root, "urandom");
    enum init_entropy_outcome outcome = INIT_ENTROPY_CREDITED;
    uint8_t first[FILE_SIZE];
    uint8_t second[FILE_SIZE];
    struct ray_err err = {0};
    struct stat st;

    assert_int_equal(init_entropy_load(root->fd, &device, &outcome, &err), RAY_OK);
    assert_int_equal(outcome, INIT_ENTROPY_NO_SEED);
    assert_int_equal(device_size(&device), 0);
    read_seed(root, first);
    assert_memory_equal(first, "Rayseed1", 8); /* this machine's pool is ready */
    assert_int_equal(fstatat(root->fd, INIT_ENTROPY_SEED_FILE, &st, 0), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    /* The next boot mixes that one in and has another one ready. */
    assert_int_equal(init_entropy_load(root->fd, &device, &outcome, &err), RAY_OK);
    assert_int_equal(outcome, INIT_ENTROPY_MIXED); /* a plain file credits nothing */
    assert_int_equal(device_size(&device), INIT_ENTROPY_SEED_SIZE);
    read_seed(root, second);
    assert_memory_not_equal(first + 8, second + 8, INIT_ENTROPY_SEED_SIZE);
    assert_int_equal(init_entropy_save(root->fd, &err), RAY_OK);
    read_seed(root, first);
    assert_memory_not_equal(first + 8, second + 8, INIT_ENTROPY_SEED_SIZE);
    (void)close(device.fd);
}

/* With a real device in a user namespace the ioctl is refused: so it was tried exactly when
 * it may be. */
static void test_credit_only_when_replaced(void **state)
{
    struct fake_root *root = *state;
    struct init_entropy_device device = open_device(root, "urandom");
    enum init_entropy_outcome outcome = INIT_ENTROPY_NO_SEED;
    struct ray_err err = {0};

    assert_int_equal(init_entropy_save(root->fd, &err), RAY_OK);
    device.can_credit = true;
    /* A file answers ENOTTY: the credit was reached. */
    assert_true(init_entropy_load(root->fd, &device, &outcome, &err) != RAY_OK);
    assert_non_null(strstr(err.text, "crediting"));
    /* The second write is the replacement's: when it fails, no credit is tried. */
    for (unsigned n = 2;; n++) {
        ray_test_fault_arm("write", n);
        err = (struct ray_err){0};
        outcome = INIT_ENTROPY_CREDITED;
        if (init_entropy_load(root->fd, &device, &outcome, &err) == RAY_OK) {
            assert_int_equal(outcome, INIT_ENTROPY_MIXED);
        }
        if (!ray_test_fault_disarm()) {
            break;
        }
        assert_int_equal(outcome, INIT_ENTROPY_MIXED);
    }
    (void)close(device.fd);
}

static void check_no_credit(const struct fake_root *root)
{
    struct init_entropy_device device = open_device(root, "urandom");
    enum init_entropy_outcome outcome = INIT_ENTROPY_CREDITED;
    uint8_t seed[FILE_SIZE];
    struct ray_err err = {0};

    device.can_credit = true;
    assert_int_equal(init_entropy_load(root->fd, &device, &outcome, &err), RAY_OK);
    assert_int_equal(outcome, INIT_ENTROPY_MIXED);
    read_seed(root, seed); /* a whole one again */
    (void)close(device.fd);
}

static void test_damaged(void **state)
{
    struct fake_root *root = *state;
    uint8_t seed[FILE_SIZE + 1] = {0};

    assert_int_equal(init_entropy_save(root->fd, NULL), RAY_OK);
    read_seed(root, seed);
    for (size_t size = 0; size <= sizeof seed; size += size == 0 ? 1 : FILE_SIZE / 8 + 1) {
        if (size != FILE_SIZE) {
            fake_put_bytes(root, INIT_ENTROPY_SEED_FILE, seed, size);
            check_no_credit(root);
        }
    }
    fake_put_bytes(root, INIT_ENTROPY_SEED_FILE, seed, sizeof seed);
    check_no_credit(root);
    for (size_t at = 0; at < FILE_SIZE; at += 7) {
        seed[at] ^= 0x10;
        fake_put_bytes(root, INIT_ENTROPY_SEED_FILE, seed, FILE_SIZE);
        check_no_credit(root);
        seed[at] ^= 0x10;
    }
}

static void check_faults(const struct fake_root *root, const char *point)
{
    struct init_entropy_device device = open_device(root, "urandom");

    for (unsigned n = 1;; n++) {
        enum init_entropy_outcome outcome = INIT_ENTROPY_CREDITED;
        struct ray_err err = {0};
        uint8_t seed[FILE_SIZE];
        int rc;

        ray_test_fault_arm(point, n);
        rc = init_entropy_load(root->fd, &device, &outcome, &err);
        if (!ray_test_fault_disarm()) {
            assert_int_equal(rc, RAY_OK);
            break;
        }
        assert_true(rc == RAY_OK || err.text[0] != '\0');
        assert_true(rc != RAY_OK || outcome == INIT_ENTROPY_MIXED);
        read_seed(root, seed); /* old or new, never none */
    }
    (void)close(device.fd);
}

static void test_faults(void **state)
{
    assert_int_equal(init_entropy_save(((struct fake_root *)*state)->fd, NULL), RAY_OK);
    check_faults(*state, "open");
    check_faults(*state, "read");
    check_faults(*state, "write");
    check_faults(*state, "fsync");
    check_faults(*state, "rename");
    check_faults(*state, "alloc");
}

static void test_wait(void **state)
{
    struct ray_err err = {0};

    (void)state;
    assert_int_equal(init_entropy_wait(0, &err), RAY_OK);
    assert_int_equal(init_entropy_wait(1000, &err), RAY_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_first_boot, fake_root_setup, fake_root_teardown),
        cmocka_unit_test_setup_teardown(test_credit_only_when_replaced, fake_root_setup,
                                        fake_root_teardown),
        cmocka_unit_test_setup_teardown(test_damaged, fake_root_setup, fake_root_teardown),
        cmocka_unit_test_setup_teardown(test_faults, fake_root_setup, fake_root_teardown),
        cmocka_unit_test(test_wait),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
