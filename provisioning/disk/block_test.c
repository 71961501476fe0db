/* Disks as sysfs and procfs show them, in folders of our own. */
#include <fcntl.h>
#include <ftw.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/atomic_file.h"
#include "base/size.h"
#include "base/test.h"
#include "provisioning/disk/block.h"

enum { PATH_SIZE = 256 };

struct place {
    char dir[64];
    char sys[PATH_SIZE];
    char proc[PATH_SIZE];
    char disk[PATH_SIZE]; /* of sdb */
};

static void path_of(const char *dir, const char *name, char out[static PATH_SIZE])
{
    (void)snprintf(out, PATH_SIZE, "%.120s/%.120s", dir, name);
}

static void put_bytes(const char *dir, const char *name, const void *bytes, size_t size)
{
    char path[PATH_SIZE];
    char folder[PATH_SIZE];
    FILE *file;

    path_of(dir, name, path);
    (void)snprintf(folder, sizeof(folder), "%s", path);
    *strrchr(folder, '/') = '\0';
    assert_int_equal(ray_make_dirs(AT_FDCWD, folder, 0700, NULL), RAY_OK);
    file = fopen(path, "we");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

static void put(const char *dir, const char *name, const char *text)
{
    put_bytes(dir, name, text, strlen(text));
}

static void unput(const char *dir, const char *name)
{
    char path[PATH_SIZE];

    path_of(dir, name, path);
    assert_int_equal(unlink(path), 0);
}

static int setup(void **state)
{
    struct place *place = calloc(1, sizeof(*place));
    char link[PATH_SIZE];

    assert_non_null(place);
    (void)snprintf(place->dir, sizeof(place->dir), "/tmp/block-test-XXXXXX");
    assert_non_null(mkdtemp(place->dir));
    path_of(place->dir, "sys", place->sys);
    path_of(place->dir, "proc", place->proc);
    path_of(place->sys, "devices/usb1/1-2/1-2:1.0/host0/block/sdb", place->disk);
    put(place->disk, "dev", "8:16\n");
    put(place->disk, "ro", "0\n");
    put(place->disk, "sdb1/dev", "8:17\n");
    put(place->disk, "sdb1/partition", "1\n");
    put(place->disk, "sdb2/dev", "8:18\n");
    put(place->disk, "sdb2/partition", "2\n");
    put(place->disk, "device/model", "Ultra Fit       \n");
    put(place->proc, "self/mountinfo", "21 1 0:20 / / rw - overlay overlay rw\n");
    put(place->proc, "swaps", "Filename Type Size\n/dev/sda3 partition 1 0 -2\n");
    put(place->sys, "dev/block/x", "");
    path_of(place->sys, "dev/block/8:16", link);
    assert_int_equal(symlink(place->disk, link), 0);
    path_of(place->sys, "dev/block/8:17", link);
    put(place->disk, "sdb1/ro", "1\n");
    char part[PATH_SIZE];
    path_of(place->disk, "sdb1", part);
    assert_int_equal(symlink(part, link), 0);
    *state = place;
    return 0;
}

static int delete_one(const char *path, const struct stat *st, int kind, struct FTW *where)
{
    (void)st;
    (void)kind;
    (void)where;
    return remove(path);
}

static int teardown(void **state)
{
    struct place *place = *state;

    (void)nftw(place->dir, delete_one, 8, FTW_DEPTH | FTW_PHYS);
    free(place);
    return 0;
}

static struct block_facts look(const struct place *place)
{
    struct block_facts facts;
    struct ray_err err = {0};

    if (block_read(place->sys, place->proc, makedev(8, 16), &facts, &err) != RAY_OK) {
        fail_msg("%s", err.text);
    }
    return facts;
}

static void test_facts(void **state)
{
    const struct place *place = *state;
    struct block_facts facts = look(place);

    assert_string_equal(facts.name, "sdb");
    assert_string_equal(facts.model, "Ultra Fit");
    assert_string_equal(facts.serial, "");
    assert_string_equal(facts.in_use, "");
    assert_false(facts.is_partition);
    assert_false(facts.is_read_only);
    assert_int_equal(block_read(place->sys, place->proc, makedev(8, 17), &facts, NULL), RAY_OK);
    assert_true(facts.is_partition);
    assert_true(facts.is_read_only);
    assert_int_equal(block_read(place->sys, place->proc, makedev(8, 99), &facts, NULL),
                     RAY_ENOTFOUND);
}

/* Where a serial number is, in the order in which it is believed. */
static void test_serial(void **state)
{
    static const char page[] = "\x00\x80\x00\x0c  4C5300\n01  ";
    const struct place *place = *state;
    char usb[PATH_SIZE];

    put(place->disk, "device/wwid", "naa.5000c500a1b2c3d4\n");
    assert_string_equal(look(place).serial, "naa.5000c500a1b2c3d4");
    path_of(place->sys, "devices/usb1/1-2", usb);
    put(usb, "idVendor", "0781\n");
    assert_string_equal(look(place).serial, "naa.5000c500a1b2c3d4"); /* a stick without number */
    put(usb, "serial", " 04017b0 \n");
    assert_string_equal(look(place).serial, "04017b0");
    put_bytes(place->disk, "device/vpd_pg80", page, sizeof(page) - 1);
    assert_string_equal(look(place).serial, "4C5300\\x0a01"); /* nothing breaks a line */
    put_bytes(place->disk, "device/vpd_pg80", page, 4);
    assert_string_equal(look(place).serial, "04017b0");
    put(place->disk, "device/serial", "S4EV\n");
    assert_string_equal(look(place).serial, "S4EV");
    put(place->disk, "serial", "lab-1\n");
    assert_string_equal(look(place).serial, "lab-1");
    put(place->disk, "serial", "   \n");
    assert_string_equal(look(place).serial, "S4EV");
}

/* Without a serial number two disks of one size have the same. */
static void test_word(void **state)
{
    const struct place *place = *state;
    struct block_facts facts = look(place);
    char word[PROVISION_DISK_TEXT_SIZE];

    assert_string_equal(block_word(&facts, word), "0"); /* no medium */
    put(place->disk, "size", "20971520\n");
    facts = look(place);
    assert_string_equal(block_word(&facts, word), "10737418240");
    put(place->disk, "size", "99999999999999999999\n");
    assert_true(look(place).size_bytes == 0);
    put(place->disk, "serial", "lab-1\n");
    facts = look(place);
    assert_string_equal(block_word(&facts, word), "lab-1");
}

static void test_in_use(void **state)
{
    const struct place *place = *state;

    put(place->disk, "sdb2/holders/dm-0", "");
    assert_string_equal(look(place).in_use, "sdb2 is part of dm-0");
    unput(place->disk, "sdb2/holders/dm-0");
    put(place->disk, "holders/md127", "");
    assert_string_equal(look(place).in_use, "sdb is part of md127");
    unput(place->disk, "holders/md127");
    assert_string_equal(look(place).in_use, "");
    put(place->proc, "self/mountinfo",
        "21 1 0:20 / / rw - overlay overlay rw\n"
        "22 21 8:1 / /8:17 rw - ext4 /dev/sda1 rw\n"
        "23 21 8:17 / /mnt/my\\040stick rw shared:1 - vfat /dev/sdb1 rw\n");
    assert_string_equal(look(place).in_use, "sdb1 is mounted on /mnt/my\\040stick");
    put(place->proc, "self/mountinfo", "23 21 8:16\n24\n\n 25 8:16 8:16\n");
    assert_string_equal(look(place).in_use, "");
    put(place->proc, "swaps", "Filename Type\n/dev/sdb22 x\n/dev/sdb2\tpartition\n");
    assert_string_equal(look(place).in_use, "sdb2 is swap space in use");
    unput(place->proc, "swaps");
    unput(place->proc, "self/mountinfo");
    assert_string_equal(look(place).in_use, "");
}

static void test_faults(void **state)
{
    const struct place *place = *state;

    put(place->disk, "serial", "lab-1\n");
    for (unsigned n = 1;; n++) {
        struct block_facts facts;

        ray_test_fault_arm("read", n);
        /* A fact less; never a crash. */
        assert_int_equal(block_read(place->sys, place->proc, makedev(8, 16), &facts, NULL), RAY_OK);
        if (!ray_test_fault_disarm()) {
            assert_string_equal(facts.serial, "lab-1");
            break;
        }
    }
}

int main(void)
{
#define BLOCK_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        BLOCK_TEST(test_facts),  BLOCK_TEST(test_serial), BLOCK_TEST(test_word),
        BLOCK_TEST(test_in_use), BLOCK_TEST(test_faults),
    };
    return cmocka_run_group_tests_name("provisioning/disk/block", tests, NULL, NULL);
}
