/* Tables that were written are read again; every damaged byte is found; what a hostile table says
 * never leaves the disk. That other programs read them: tests/hosted/test_image_release.py. */
#include <string.h>

#include "base/size.h"
#include "base/test.h"
#include "provisioning/disk/gpt.h"

enum {
    SECTOR_COUNT = 8192,
    HEADER = GPT_SECTOR_SIZE,
    TABLE = 2 * GPT_SECTOR_SIZE,
    TABLE_SIZE = 128 * 128
};

struct bytes {
    uint8_t head[GPT_HEAD_SIZE];
    uint8_t tail[GPT_TAIL_SIZE];
};

static struct gpt *make(void)
{
    struct gpt *gpt = calloc(1, sizeof(*gpt));

    assert_non_null(gpt);
    gpt->sector_count = SECTOR_COUNT;
    memset(gpt->disk_id.bytes, 0xAB, GPT_GUID_SIZE);
    gpt->partition_count = 2;
    gpt->partitions[0] = (struct gpt_partition){.type = gpt_type_esp,
                                                .id = {{1}},
                                                .first_sector = 34, /* the first that is usable */
                                                .last_sector = 4095,
                                                .name = "RAYOS_ESP"};
    gpt->partitions[1] =
        (struct gpt_partition){.type = gpt_type_linux_data,
                               .id = {{2}},
                               .first_sector = 4096,
                               .last_sector = SECTOR_COUNT - 34, /* the last that is usable */
                               .attributes = UINT64_C(1) << 63,
                               .name = "123456789012345678901234567890123456"};
    return gpt;
}

static uint32_t checksum(const uint8_t *bytes, size_t size)
{
    uint32_t sum = 0xFFFFFFFF;

    for (size_t i = 0; i < size; i++) {
        sum ^= bytes[i];
        for (int bit = 0; bit < 8; bit++) {
            sum = (sum >> 1) ^ ((sum & 1) != 0 ? 0xEDB88320 : 0);
        }
    }
    return ~sum;
}

static void put(uint8_t *at, uint64_t value, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        at[i] = (uint8_t)(value >> (8 * i));
    }
}

/* Makes a changed table pass its checksums, as an attacker would. */
static void sign(uint8_t *head)
{
    put(&head[HEADER + 88], checksum(&head[TABLE], TABLE_SIZE), 4);
    put(&head[HEADER + 16], 0, 4);
    put(&head[HEADER + 16], checksum(&head[HEADER], 92), 4);
}

static int read_bytes(const uint8_t *head, size_t size, uint64_t sector_count, struct gpt *out)
{
    /* An exact copy lets the sanitizer see one byte too far. */
    uint8_t *exact = malloc(size);
    struct ray_err err = {0};
    int rc;

    assert_non_null(exact);
    memcpy(exact, head, size);
    rc = gpt_read(exact, size, sector_count, out, &err);
    assert_true((rc == RAY_OK) == (err.text[0] == '\0'));
    free(exact);
    return rc;
}

static void test_write_and_read(void **state)
{
    struct gpt *gpt = make();
    struct gpt *again = calloc(1, sizeof(*again));
    struct bytes bytes;

    (void)state;
    gpt_write(gpt, bytes.head, bytes.tail);
    assert_int_equal(read_bytes(bytes.head, sizeof(bytes.head), SECTOR_COUNT, again), RAY_OK);
    assert_memory_equal(gpt, again, sizeof(*gpt));
    assert_true(gpt_guid_is_same(&again->partitions[0].type, &gpt_type_esp));
    /* The copy: the same table, and a header that names the other's places. */
    assert_memory_equal(&bytes.head[TABLE], bytes.tail, TABLE_SIZE);
    assert_int_equal(bytes.tail[TABLE_SIZE + 24], (SECTOR_COUNT - 1) & 0xFF);
    assert_int_equal(bytes.tail[TABLE_SIZE + 32], 1);
    /* The protective MBR covers the disk, or as much as it can name. */
    assert_int_equal(bytes.head[450], 0xEE);
    assert_int_equal(bytes.head[459] << 8 | bytes.head[458], SECTOR_COUNT - 1);
    gpt->sector_count = UINT64_C(1) << 33;
    gpt_write(gpt, bytes.head, bytes.tail);
    assert_memory_equal(&bytes.head[458], "\xff\xff\xff\xff", 4);
    free(gpt);
    free(again);
}

/* Any byte that counts; of the unused entries some. */
static void test_damage(void **state)
{
    struct gpt *gpt = make();
    struct bytes bytes;

    (void)state;
    gpt_write(gpt, bytes.head, bytes.tail);
    for (size_t at = HEADER; at < sizeof(bytes.head); at += at < TABLE + 3 * 128 ? 1 : 97) {
        if (at >= HEADER + 92 && at < TABLE) {
            continue; /* behind the header nothing counts */
        }
        bytes.head[at] ^= 0x10;
        if (read_bytes(bytes.head, sizeof(bytes.head), SECTOR_COUNT, gpt) == RAY_OK) {
            fail_msg("byte %zu", at);
        }
        bytes.head[at] ^= 0x10;
    }
    for (size_t size = 0; size < sizeof(bytes.head); size += 97) {
        assert_int_equal(read_bytes(bytes.head, size, SECTOR_COUNT, gpt), RAY_ENOTFOUND);
    }
    assert_int_equal(read_bytes(bytes.head, sizeof(bytes.head), 33, gpt), RAY_ENOTFOUND);
    assert_int_equal(read_bytes(bytes.head, sizeof(bytes.head), SECTOR_COUNT - 34, gpt),
                     RAY_EMALFORMED);
    free(gpt);
}

static void test_hostile(void **state)
{
    static const struct {
        size_t at;
        size_t size;
        uint64_t value;
        int code;
    } changes[] = {
        {HEADER + 8, 4, 0x00020000, RAY_EUNSUPPORTED},
        {HEADER + 12, 4, 91, RAY_EMALFORMED},
        {HEADER + 12, 4, 513, RAY_EMALFORMED},
        {HEADER + 12, 4, UINT32_MAX, RAY_EMALFORMED},
        {HEADER + 24, 8, 2, RAY_EMALFORMED},
        {HEADER + 32, 8, SECTOR_COUNT, RAY_EMALFORMED},
        {HEADER + 40, 8, 1, RAY_EMALFORMED},
        {HEADER + 40, 8, UINT64_MAX, RAY_EMALFORMED},
        {HEADER + 48, 8, SECTOR_COUNT, RAY_EMALFORMED},
        {HEADER + 72, 8, 3, RAY_EUNSUPPORTED},
        {HEADER + 72, 8, UINT64_MAX, RAY_EUNSUPPORTED},
        {HEADER + 80, 4, 0, RAY_EUNSUPPORTED},
        {HEADER + 80, 4, 129, RAY_EUNSUPPORTED},
        {HEADER + 80, 4, UINT32_MAX, RAY_EUNSUPPORTED},
        {HEADER + 84, 4, 256, RAY_EUNSUPPORTED},
        {TABLE + 32, 8, 33, RAY_EMALFORMED},                      /* before the first usable */
        {TABLE + 32, 8, 4096, RAY_EMALFORMED},                    /* after its own end */
        {TABLE + 40, 8, 4096, RAY_EMALFORMED},                    /* overlaps the next */
        {TABLE + 128 + 32, 8, 4095, RAY_EMALFORMED},              /* overlaps the one before */
        {TABLE + 128 + 40, 8, SECTOR_COUNT - 33, RAY_EMALFORMED}, /* into the copy */
        {TABLE + 128 + 40, 8, UINT64_MAX, RAY_EMALFORMED},
    };
    struct gpt *gpt = make();
    struct bytes good;
    struct bytes bad;

    (void)state;
    gpt_write(gpt, good.head, good.tail);
    for (size_t i = 0; i < RAY_ARRAY_COUNT(changes); i++) {
        int rc;

        bad = good;
        put(&bad.head[changes[i].at], changes[i].value, changes[i].size);
        sign(bad.head);
        rc = read_bytes(bad.head, sizeof(bad.head), SECTOR_COUNT, gpt);
        if (rc != changes[i].code) {
            fail_msg("change %zu: %s", i, ray_err_name(rc));
        }
    }
    /* Names are read as far as they are plain. */
    bad = good;
    put(&bad.head[TABLE + 56], 0x000A263A, 4);
    sign(bad.head);
    assert_int_equal(read_bytes(bad.head, sizeof(bad.head), SECTOR_COUNT, gpt), RAY_OK);
    assert_string_equal(gpt->partitions[0].name, "??YOS_ESP");
    free(gpt);
}

/* 128 partitions of one sector are no problem; fewer entries than that neither. */
static void test_counts(void **state)
{
    struct gpt *gpt = make();
    struct gpt *again = calloc(1, sizeof(*again));
    struct bytes bytes;

    (void)state;
    gpt->partition_count = GPT_PARTITION_COUNT_MAX;
    for (size_t i = 0; i < GPT_PARTITION_COUNT_MAX; i++) {
        gpt->partitions[i] = (struct gpt_partition){
            .type = gpt_type_esp, .first_sector = 100 + i, .last_sector = 100 + i};
    }
    gpt_write(gpt, bytes.head, bytes.tail);
    assert_int_equal(read_bytes(bytes.head, sizeof(bytes.head), SECTOR_COUNT, again), RAY_OK);
    assert_int_equal(again->partition_count, GPT_PARTITION_COUNT_MAX);
    put(&bytes.head[HEADER + 80], 4, 4);
    put(&bytes.head[HEADER + 88], checksum(&bytes.head[TABLE], 512), 4);
    put(&bytes.head[HEADER + 16], 0, 4);
    put(&bytes.head[HEADER + 16], checksum(&bytes.head[HEADER], 92), 4);
    assert_int_equal(read_bytes(bytes.head, sizeof(bytes.head), SECTOR_COUNT, again), RAY_OK);
    assert_int_equal(again->partition_count, 4);
    free(gpt);
    free(again);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_write_and_read),
        cmocka_unit_test(test_damage),
        cmocka_unit_test(test_hostile),
        cmocka_unit_test(test_counts),
    };
    return cmocka_run_group_tests_name("provisioning/disk/gpt", tests, NULL, NULL);
}
