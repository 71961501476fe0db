/* The writer as a whole, on files: what is refused and changes nothing; what is written; that
 * nothing interrupted looks complete. A block device is played by a file. */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/size.h"
#include "base/test.h"
#include "provisioning/disk/disk_internal.h"

enum {
    MIB = 1 << 20,
    ESP_MIB = 80,
    TABLE_SECTORS = 8130,
    FAT_START = 32 * FAT_SECTOR_SIZE,
    LOADER_AT = 9 * MIB, /* somewhere among the clusters */
    PATH_SIZE = 128,
};

static const uint64_t disk_size = UINT64_C(400) * MIB;

struct place {
    char dir[64];
    char image[PATH_SIZE];
    char target[PATH_SIZE];
    struct provision_disk_request request;
};

static void put(uint8_t *at, uint64_t value, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        at[i] = (uint8_t)(value >> (8 * i));
    }
}

static void write_at(const char *path, const void *bytes, size_t size, uint64_t offset)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, bytes, size, (off_t)offset), size);
    assert_int_equal(close(fd), 0);
}

static void read_at(const char *path, void *bytes, size_t size, uint64_t offset)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(pread(fd, bytes, size, (off_t)offset), size);
    assert_int_equal(close(fd), 0);
}

static void make_fat_head(uint8_t head[static FAT_HEAD_SIZE])
{
    memset(head, 0, FAT_HEAD_SIZE);
    put(&head[11], 512, 2);
    head[13] = 2;
    put(&head[14], 32, 2);
    head[16] = 2;
    put(&head[32], (uint64_t)ESP_MIB * MIB / 512, 4);
    put(&head[36], TABLE_SECTORS, 4);
    put(&head[48], 1, 2);
    put(&head[50], 6, 2);
    put(&head[510], 0xAA55, 2);
    put(&head[512], 0x41615252, 4);
    put(&head[512 + 484], 0x61417272, 4);
    put(&head[512 + 488], 0xFFFFFFFF, 4);
    memcpy(&head[3072], head, 1024);
}

/* An image as mkimage makes it, but for what is in its files. */
static void make_image(const char *path)
{
    struct gpt *gpt = calloc(1, sizeof(*gpt));
    uint8_t head[GPT_HEAD_SIZE];
    uint8_t tail[GPT_TAIL_SIZE];
    uint8_t fat[FAT_HEAD_SIZE];
    uint64_t size = (uint64_t)(ESP_MIB + 2) * MIB;

    assert_non_null(gpt);
    gpt->sector_count = size / 512;
    gpt->partition_count = 1;
    gpt->partitions[0] = (struct gpt_partition){.type = gpt_type_esp,
                                                .first_sector = 2048,
                                                .last_sector = (ESP_MIB + 1) * 2048 - 1,
                                                .name = "RAYOS_ESP"};
    gpt_write(gpt, head, tail);
    free(gpt);
    (void)unlink(path);
    write_at(path, tail, sizeof(tail), size - sizeof(tail));
    write_at(path, head, sizeof(head), 0);
    make_fat_head(fat);
    write_at(path, fat, sizeof(fat), MIB);
    write_at(path, "table", 5, MIB + FAT_START);
    write_at(path, "loader", 6, MIB + LOADER_AT);
    write_at(path, "last", 4, (uint64_t)(ESP_MIB + 1) * MIB - 4);
}

static int setup(void **state)
{
    struct place *place = calloc(1, sizeof(*place));

    assert_non_null(place);
    (void)snprintf(place->dir, sizeof(place->dir), "/tmp/disk-test-XXXXXX");
    assert_non_null(mkdtemp(place->dir));
    (void)snprintf(place->image, sizeof(place->image), "%s/image", place->dir);
    (void)snprintf(place->target, sizeof(place->target), "%s/target", place->dir);
    make_image(place->image);
    place->request = (struct provision_disk_request){
        .target = place->target, .image = place->image, .size_bytes = disk_size};
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

static int open_only(const struct place *place, struct ray_err *err)
{
    struct provision_disk *disk = NULL;
    int rc = provision_disk_open(&disk, &place->request, err);

    if (rc == RAY_OK) {
        rc = provision_disk_check(disk, err);
    }
    provision_disk_close(disk);
    return rc;
}

static int write_all(const struct place *place, struct ray_err *err)
{
    struct provision_disk *disk = NULL;
    int rc = provision_disk_open(&disk, &place->request, err);

    if (rc == RAY_OK) {
        rc = provision_disk_write(disk, err);
    }
    provision_disk_close(disk);
    return rc;
}

/* As if the existing file was a disk: nothing is known of what is on it. */
static int write_as_disk(struct place *place, struct ray_err *err)
{
    struct provision_disk *disk = NULL;
    int rc;

    place->request.is_wiped = true;
    rc = provision_disk_open(&disk, &place->request, err);
    if (rc == RAY_OK) {
        disk->plan.is_block_device = true;
        disk->plan.has_serial = true;
        (void)snprintf(disk->plan.serial, sizeof(disk->plan.serial), "S1");
        provision_disk_confirm(disk, "S1");
        rc = provision_disk_write(disk, err);
    }
    provision_disk_close(disk);
    return rc;
}

static bool has_table(const char *path)
{
    struct gpt *gpt = calloc(1, sizeof(*gpt));
    uint8_t head[GPT_HEAD_SIZE];
    int rc;

    assert_non_null(gpt);
    read_at(path, head, sizeof(head), 0);
    rc = gpt_read(head, sizeof(head), disk_size / 512, gpt, NULL);
    free(gpt);
    return rc == RAY_OK;
}

static void expect_text(const char *path, const char *text, uint64_t offset)
{
    char found[16] = "";

    read_at(path, found, strlen(text), offset);
    assert_string_equal(found, text);
}

static void expect_good(const char *path, uint64_t size, uint64_t esp_mib)
{
    struct gpt *gpt = calloc(1, sizeof(*gpt));
    uint8_t head[GPT_HEAD_SIZE];
    uint8_t fat[FAT_HEAD_SIZE];
    struct fat_facts facts;

    assert_non_null(gpt);
    read_at(path, head, sizeof(head), 0);
    assert_int_equal(gpt_read(head, sizeof(head), size / 512, gpt, NULL), RAY_OK);
    assert_int_equal(gpt->partition_count, 2);
    assert_string_equal(gpt->partitions[0].name, "RAYOS_ESP");
    assert_string_equal(gpt->partitions[1].name, "RAYOS_DATA");
    assert_true(gpt_guid_is_same(&gpt->partitions[1].type, &gpt_type_linux_data));
    assert_false(gpt_guid_is_same(&gpt->partitions[0].id, &gpt->partitions[1].id));
    assert_int_equal(gpt->partitions[0].first_sector, 2048);
    assert_int_equal(gpt->partitions[1].first_sector, (1 + esp_mib) * 2048);
    assert_true((gpt->partitions[1].last_sector + 1) % 2048 == 0);
    expect_text(path, "XFSB", gpt->partitions[1].first_sector * 512);
    read_at(path, fat, sizeof(fat), MIB);
    assert_int_equal(fat_read(fat, &facts, NULL), RAY_OK);
    assert_int_equal(facts.sector_count, esp_mib * 2048);
    expect_text(path, "table", MIB + FAT_START);
    expect_text(path, "loader", MIB + LOADER_AT);
    expect_text(path, "last", (uint64_t)(ESP_MIB + 1) * MIB - 4);
    expect_text(path, "EFI PART", size - 512);
    free(gpt);
}

/* --- what is written --- */

static void test_new_file(void **state)
{
    const struct place *place = *state;
    struct ray_err err = {0};
    struct stat st;

    if (write_all(place, &err) != RAY_OK) {
        fail_msg("%s", err.text);
    }
    expect_good(place->target, disk_size, ESP_MIB);
    assert_int_equal(stat(place->target, &st), 0);
    assert_int_equal(st.st_size, disk_size);
    assert_true(st.st_blocks < 8 * MIB / 512); /* sparse */
}

/* A disk of a node that boots from elsewhere. */
static void test_without_image(void **state)
{
    struct place *place = *state;
    struct gpt *gpt = calloc(1, sizeof(*gpt));
    uint8_t head[GPT_HEAD_SIZE];
    struct ray_err err = {0};

    assert_non_null(gpt);
    place->request.image = NULL;
    if (write_all(place, &err) != RAY_OK) {
        fail_msg("%s", err.text);
    }
    read_at(place->target, head, sizeof(head), 0);
    assert_int_equal(gpt_read(head, sizeof(head), disk_size / 512, gpt, NULL), RAY_OK);
    assert_int_equal(gpt->partition_count, 1);
    assert_string_equal(gpt->partitions[0].name, "RAYOS_DATA");
    assert_int_equal(gpt->partitions[0].first_sector, 2048);
    assert_int_equal(gpt->partitions[0].last_sector + 1, (disk_size / MIB - 1) * 2048);
    expect_text(place->target, "XFSB", MIB);
    expect_text(place->target, "EFI PART", disk_size - 512);
    free(gpt);
    place->request.is_wiped = true;
    place->request.size_bytes = UINT64_C(300) * MIB;
    assert_int_equal(open_only(place, &err), RAY_ENOSPC);
    assert_non_null(strstr(err.text, "RAYOS_DATA needs"));
}

/* Looking changes nothing and needs no image. */
static void test_look(void **state)
{
    struct place *place = *state;
    struct provision_disk_plan plan;

    write_at(place->target, "somebody's", 10, 0);
    write_at(place->target, "x", 1, disk_size - 1);
    assert_int_equal(provision_disk_look(place->target, &plan, NULL), RAY_OK);
    assert_int_equal(plan.size_bytes, disk_size);
    assert_string_not_equal(plan.content, "");
    expect_text(place->target, "somebody's", 0);
    assert_int_equal(provision_disk_look("/dev/no-such-disk", &plan, NULL), RAY_ENOTFOUND);
}

static void test_large_file(void **state)
{
    struct place *place = *state;
    const uint64_t size = UINT64_C(100) << 30; /* beyond what gets the small log */

    place->request.size_bytes = size;
    assert_int_equal(write_all(place, NULL), RAY_OK);
    expect_good(place->target, size, 1024);
    place->request.is_wiped = true;
    place->request.esp_size_bytes = UINT64_C(200) * MIB;
    place->request.size_bytes = PROVISION_DISK_LARGE_SIZE;
    assert_int_equal(write_all(place, NULL), RAY_OK);
    expect_good(place->target, PROVISION_DISK_LARGE_SIZE, 200);
}

static void test_existing_file(void **state)
{
    struct place *place = *state;
    struct ray_err err = {0};
    const char *kinds[] = {"XFSB", "anything"};

    for (size_t i = 0; i < 2; i++) {
        write_at(place->target, kinds[i], strlen(kinds[i]), 0);
        place->request.is_wiped = false;
        assert_int_equal(write_all(place, &err), RAY_EEXISTS);
        assert_non_null(strstr(err.next_step, "--wipe"));
        expect_text(place->target, kinds[i], 0);
        place->request.is_wiped = true;
        assert_int_equal(write_all(place, &err), RAY_OK);
        expect_good(place->target, disk_size, ESP_MIB);
    }
    /* Its own size is as good as a given one. */
    place->request.size_bytes = 0;
    assert_int_equal(write_all(place, &err), RAY_OK);
    expect_good(place->target, disk_size, ESP_MIB);
    /* Blank files have no content. */
    place->request.is_wiped = false;
    assert_int_equal(truncate(place->target, 0), 0);
    assert_int_equal(write_all(place, &err), RAY_EINVAL); /* and this one no size */
    assert_non_null(strstr(err.next_step, "--size"));
    assert_int_equal(truncate(place->target, (off_t)disk_size), 0);
    assert_int_equal(write_all(place, &err), RAY_OK);
}

static uint64_t get_be(const uint8_t *at, size_t size)
{
    uint64_t value = 0;

    for (size_t i = 0; i < size; i++) {
        value = value << 8 | at[i];
    }
    return value;
}

/* Where the log of the XFS at `data` begins, by its superblock. */
static uint64_t log_start(const char *path, uint64_t data)
{
    uint8_t super[512];
    uint64_t block;

    read_at(path, super, sizeof(super), data);
    assert_int_equal(get_be(&super[96], 4) * get_be(&super[4], 4), UINT64_C(64) * MIB);
    block = get_be(&super[48], 8);
    block =
        (block >> super[124]) * get_be(&super[84], 4) + (block & ((UINT64_C(1) << super[124]) - 1));
    return data + block * get_be(&super[4], 4);
}

static void expect_nothing_old(const char *path, uint64_t offset, uint64_t size)
{
    uint8_t *block = malloc(MIB);

    assert_non_null(block);
    for (uint64_t at = 0; at < size; at += MIB) {
        read_at(path, block, MIB, offset + at);
        assert_null(memmem(block, MIB, "\xAA\xAA\xAA\xAA\xAA\xAA\xAA\xAA", 8));
    }
    free(block);
}

/* The log of XFS, the allocation tables and both ends must not keep what was there before. */
static void test_disk_with_old_data(void **state)
{
    struct place *place = *state;
    const uint64_t data = (uint64_t)(ESP_MIB + 1) * MIB;
    uint8_t *old = malloc(MIB);

    assert_non_null(old);
    memset(old, 0xAA, MIB);
    write_at(place->target, old, 1, disk_size - 1);
    for (uint64_t at = 0; at < disk_size; at += MIB) {
        write_at(place->target, old, 65536, at); /* some of everything */
    }
    write_at(place->target, old, MIB, disk_size - MIB);
    free(old);
    assert_int_equal(write_as_disk(place, NULL), RAY_OK);
    expect_good(place->target, disk_size, ESP_MIB);
    expect_nothing_old(place->target, 0, data + MIB);
    expect_nothing_old(place->target, log_start(place->target, data), UINT64_C(64) * MIB);
    expect_nothing_old(place->target, disk_size - 2 * (uint64_t)MIB, 2 * (uint64_t)MIB);
}

/* --- what is refused --- */

static void test_targets_refused(void **state)
{
    struct place *place = *state;
    struct ray_err err = {0};
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 100, .l_len = 1};
    int fd;

    place->request.target = place->dir;
    assert_int_equal(open_only(place, &err), RAY_EINVAL);
    place->request.target = "/dev/null";
    assert_int_equal(open_only(place, &err), RAY_EINVAL);
    place->request.target = "/dev/no-such-disk";
    assert_int_equal(open_only(place, &err), RAY_ENOTFOUND);
    place->request.target = "/no/such/folder/file";
    assert_int_equal(write_all(place, &err), RAY_ENOTFOUND);
    place->request.target = place->target;
    place->request.size_bytes = 0;
    assert_int_equal(open_only(place, &err), RAY_EINVAL);
    place->request.size_bytes = disk_size + 1;
    assert_int_equal(open_only(place, &err), RAY_EINVAL);
    place->request.size_bytes = disk_size;
    assert_int_equal(open_only(place, &err), RAY_OK);
    assert_int_equal(access(place->target, F_OK), -1); /* a look makes nothing */
    /* A virtual machine runs from it. */
    write_at(place->target, "", 1, 0);
    fd = open(place->target, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(fcntl(fd, F_OFD_SETLK, &lock), 0);
    assert_int_equal(write_all(place, &err), RAY_ECONFLICT);
    assert_int_equal(close(fd), 0);
    assert_int_equal(write_all(place, &err), RAY_OK);
}

static void test_sizes(void **state)
{
    struct place *place = *state;
    const uint64_t least = (uint64_t)(1 + ESP_MIB + 304 + 1) * MIB;
    struct ray_err err = {0};

    place->request.size_bytes = least;
    assert_int_equal(open_only(place, &err), RAY_OK);
    place->request.size_bytes = least - MIB + GPT_TAIL_SIZE; /* to the byte */
    assert_int_equal(open_only(place, &err), RAY_OK);
    place->request.size_bytes -= 512;
    assert_int_equal(open_only(place, &err), RAY_ENOSPC);
    place->request.size_bytes = 512;
    assert_int_equal(open_only(place, &err), RAY_ENOSPC);
    place->request.size_bytes = disk_size;
    place->request.esp_size_bytes = (uint64_t)(ESP_MIB - 1) * MIB;
    assert_int_equal(open_only(place, &err), RAY_EINVAL);
    place->request.esp_size_bytes = (uint64_t)ESP_MIB * MIB + 512;
    assert_int_equal(open_only(place, &err), RAY_EINVAL);
    place->request.esp_size_bytes = (uint64_t)1025 * MIB;
    assert_int_equal(open_only(place, &err), RAY_EINVAL);
    place->request.esp_size_bytes = (uint64_t)1024 * MIB;
    assert_int_equal(open_only(place, &err), RAY_ENOSPC);
    place->request.size_bytes = (uint64_t)1400 * MIB;
    assert_int_equal(open_only(place, &err), RAY_OK);
}

static void test_images_refused(void **state)
{
    static const struct {
        uint64_t at;
        const char *bytes;
    } damages[] = {
        {512, "x"},          /* header */
        {1024, "x"},         /* entries */
        {MIB + 12, "\x00"},  /* boot sector */
        {MIB + 510, "\x00"}, /* its end */
    };
    struct place *place = *state;
    struct ray_err err = {0};

    for (size_t i = 0; i < RAY_ARRAY_COUNT(damages); i++) {
        make_image(place->image);
        write_at(place->image, damages[i].bytes, 1, damages[i].at);
        assert_int_equal(open_only(place, &err), RAY_EMALFORMED);
        assert_non_null(strstr(err.next_step, "make image"));
    }
    for (off_t size = 0; size < (off_t)3 * MIB; size += MIB / 2) {
        make_image(place->image);
        assert_int_equal(truncate(place->image, size), 0);
        assert_int_equal(open_only(place, &err), RAY_EMALFORMED);
    }
    assert_int_equal(unlink(place->image), 0);
    assert_int_equal(open_only(place, &err), RAY_ENOTFOUND);
    assert_int_equal(mkfifo(place->image, 0600), 0);
    assert_int_equal(open_only(place, &err), RAY_EINVAL);
    assert_int_equal(access(place->target, F_OK), -1);
}

static void test_serial(void **state)
{
    struct place *place = *state;
    struct provision_disk *disk = NULL;
    struct ray_err err = {0};

    write_at(place->target, "", 1, disk_size - 1);
    assert_int_equal(provision_disk_open(&disk, &place->request, &err), RAY_OK);
    disk->plan.is_block_device = true;
    (void)snprintf(disk->plan.serial, sizeof(disk->plan.serial), "S1");
    assert_int_equal(provision_disk_check(disk, &err), RAY_EDENIED);
    assert_non_null(strstr(err.next_step, "S1"));
    provision_disk_confirm(disk, "S2");
    assert_int_equal(provision_disk_write(disk, &err), RAY_EDENIED);
    provision_disk_confirm(disk, "");
    assert_int_equal(provision_disk_write(disk, &err), RAY_EDENIED);
    provision_disk_confirm(disk, "S1");
    disk->is_read_only = true;
    assert_int_equal(provision_disk_check(disk, &err), RAY_EDENIED);
    disk->is_read_only = false;
    assert_int_equal(provision_disk_check(disk, &err), RAY_OK);
    (void)snprintf(disk->plan.in_use, sizeof(disk->plan.in_use), "sdb1 is mounted on /mnt");
    assert_int_equal(provision_disk_check(disk, &err), RAY_ECONFLICT);
    provision_disk_close(disk);
}

/* --- what fails --- */

/* All of the first passes, then fewer and fewer. */
static unsigned next_pass(unsigned n)
{
    return n + 1 + n / 4;
}

static void test_faults(void **state)
{
    static const char *const points[] = {"alloc", "open", "fork", "read", "write", "fsync"};
    struct place *place = *state;
    struct ray_err err = {0};

    for (size_t i = 0; i < RAY_ARRAY_COUNT(points); i++) {
        for (unsigned n = 1;; n = next_pass(n)) {
            int rc;

            ray_test_fault_arm(points[i], n);
            rc = write_all(place, &err);
            if (!ray_test_fault_disarm()) {
                assert_int_equal(rc, RAY_OK);
                assert_int_equal(unlink(place->target), 0);
                break;
            }
            assert_int_not_equal(rc, RAY_OK);
            assert_int_equal(access(place->target, F_OK), -1);
        }
    }
}

/* Power cut: from the nth write on nothing reaches the disk any more. */
static void test_power_cuts(void **state)
{
    struct place *place = *state;
    struct ray_err err = {0};

    assert_int_equal(write_all(place, NULL), RAY_OK);
    for (unsigned n = 1;; n = next_pass(n)) {
        char fault[32];
        bool has_fired;
        int rc;

        (void)snprintf(fault, sizeof(fault), "write:%u+", n);
        (void)ray_fault_set(fault);
        rc = write_as_disk(place, &err);
        has_fired = ray_fault_has_fired();
        (void)ray_fault_set(NULL);
        if (!has_fired) {
            assert_int_equal(rc, RAY_OK);
            expect_good(place->target, disk_size, ESP_MIB);
            break;
        }
        assert_int_not_equal(rc, RAY_OK);
        assert_true(n == 1 || !has_table(place->target)); /* before the first write: the old one */
    }
}

/* A failure that leaves the disk writable: the tables go again. */
static void test_undo(void **state)
{
    struct place *place = *state;

    for (unsigned n = 1;; n++) {
        bool has_fired;
        int rc;

        if (n == 1) {
            assert_int_equal(write_all(place, NULL), RAY_OK);
        }
        ray_test_fault_arm("fsync", n);
        rc = write_as_disk(place, NULL);
        has_fired = ray_test_fault_disarm();
        assert_int_equal(rc == RAY_OK, !has_fired);
        assert_int_equal(has_table(place->target), !has_fired);
        if (!has_fired) {
            assert_true(n > 5);
            break;
        }
    }
}

int main(void)
{
#define DISK_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        DISK_TEST(test_new_file),
        DISK_TEST(test_without_image),
        DISK_TEST(test_look),
        DISK_TEST(test_large_file),
        DISK_TEST(test_existing_file),
        DISK_TEST(test_disk_with_old_data),
        DISK_TEST(test_targets_refused),
        DISK_TEST(test_sizes),
        DISK_TEST(test_images_refused),
        DISK_TEST(test_serial),
        DISK_TEST(test_faults),
        DISK_TEST(test_power_cuts),
        DISK_TEST(test_undo),
    };
    return cmocka_run_group_tests_name("provisioning/disk/disk", tests, NULL, NULL);
}
