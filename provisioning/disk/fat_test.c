/* A FAT32 grows up to what its tables have room for, and nothing else is taken for one. */
#include <string.h>

#include "base/size.h"
#include "base/test.h"
#include "provisioning/disk/fat.h"

enum {
    TABLE_SECTORS = 8130, /* as rayos.img has them: for 1 GiB of clusters of 1 KiB */
    DATA_START = 32 + 2 * TABLE_SECTORS,
    SECTORS = 178176,
    SECTORS_MAX = DATA_START + (TABLE_SECTORS * 128 - 2) * 2,
    BACKUP = 6 * FAT_SECTOR_SIZE,
};

static void put(uint8_t *at, uint64_t value, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        at[i] = (uint8_t)(value >> (8 * i));
    }
}

static uint32_t get32(const uint8_t *at)
{
    return (uint32_t)(at[0] | at[1] << 8 | at[2] << 16) | (uint32_t)at[3] << 24;
}

static void make(uint8_t head[static FAT_HEAD_SIZE])
{
    memset(head, 0, FAT_HEAD_SIZE);
    put(&head[11], 512, 2);
    head[13] = 2;
    put(&head[14], 32, 2);
    head[16] = 2;
    put(&head[32], SECTORS, 4);
    put(&head[36], TABLE_SECTORS, 4);
    put(&head[48], 1, 2);
    put(&head[50], 6, 2);
    put(&head[510], 0xAA55, 2);
    put(&head[512], 0x41615252, 4);
    put(&head[512 + 484], 0x61417272, 4);
    put(&head[512 + 488], 1000, 4);
    memcpy(&head[BACKUP], head, 1024);
}

static void test_grow(void **state)
{
    static const uint32_t sizes[] = {SECTORS, SECTORS + 1, SECTORS + 2, 1 << 21, SECTORS_MAX};
    uint8_t head[FAT_HEAD_SIZE];
    struct fat_facts facts;

    (void)state;
    for (size_t i = 0; i < RAY_ARRAY_COUNT(sizes); i++) {
        uint32_t more = (sizes[i] - DATA_START) / 2 - (SECTORS - DATA_START) / 2;

        make(head);
        assert_int_equal(fat_read(head, &facts, NULL), RAY_OK);
        assert_int_equal(facts.sector_count, SECTORS);
        assert_int_equal(facts.sector_count_max, SECTORS_MAX);
        fat_grow(head, sizes[i]);
        assert_int_equal(fat_read(head, &facts, NULL), RAY_OK);
        assert_int_equal(facts.sector_count, sizes[i]);
        assert_int_equal(get32(&head[512 + 488]), 1000 + more);
        assert_int_equal(get32(&head[BACKUP + 512 + 488]), 1000 + more);
    }
}

/* A count of free clusters that cannot be is not carried on. */
static void test_free_count(void **state)
{
    uint8_t head[FAT_HEAD_SIZE];

    (void)state;
    make(head);
    put(&head[512 + 488], 0xFFFFFFFF, 4);
    put(&head[BACKUP + 512 + 488], 0xFFFFFFF0, 4);
    fat_grow(head, SECTORS + 2048);
    assert_int_equal(get32(&head[512 + 488]), 0xFFFFFFFF);
    assert_int_equal(get32(&head[BACKUP + 512 + 488]), 0xFFFFFFFF);
}

static void test_bad(void **state)
{
    static const struct {
        size_t at;
        size_t size;
        uint64_t value;
    } changes[] = {
        {11, 2, 4096}, {13, 1, 0},      {13, 1, 3},          {14, 2, 0},
        {14, 2, 7},    {16, 1, 0},      {16, 1, 3},          {19, 2, 1},
        {22, 2, 1},    {32, 4, 0},      {32, 4, DATA_START}, {32, 4, UINT32_MAX},
        {36, 4, 0},    {36, 4, 100},    {36, 4, UINT32_MAX}, {48, 2, 0},
        {48, 2, 2},    {48, 2, 0xFFFF}, {50, 2, 0},          {50, 2, 1},
        {50, 2, 31},   {50, 2, 0xFFFF}, {510, 2, 0},         {32, 4, DATA_START + 131000},
    };
    uint8_t head[FAT_HEAD_SIZE];
    struct fat_facts facts;

    (void)state;
    for (size_t i = 0; i < RAY_ARRAY_COUNT(changes); i++) {
        make(head);
        put(&head[changes[i].at], changes[i].value, changes[i].size);
        memcpy(&head[BACKUP], head, FAT_SECTOR_SIZE); /* so that it is no matter of the copy */
        if (fat_read(head, &facts, NULL) != RAY_EMALFORMED) {
            fail_msg("change %zu", i);
        }
    }
    make(head);
    head[BACKUP + 3] = 1; /* another copy */
    assert_int_equal(fat_read(head, &facts, NULL), RAY_EMALFORMED);
    make(head);
    head[512] = 0;
    assert_int_equal(fat_read(head, &facts, NULL), RAY_EMALFORMED);
    make(head);
    head[BACKUP + 512] = 0;
    assert_int_equal(fat_read(head, &facts, NULL), RAY_EMALFORMED);
    memset(head, 0, sizeof(head));
    assert_int_equal(fat_read(head, &facts, NULL), RAY_EMALFORMED);
    memset(head, 0xFF, sizeof(head));
    assert_int_equal(fat_read(head, &facts, NULL), RAY_EMALFORMED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_grow),
        cmocka_unit_test(test_free_count),
        cmocka_unit_test(test_bad),
    };
    return cmocka_run_group_tests_name("provisioning/disk/fat", tests, NULL, NULL);
}
