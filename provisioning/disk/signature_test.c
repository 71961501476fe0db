/* What is on a disk has a name, or is at least not overlooked. */
#include <string.h>

#include "base/size.h"
#include "base/test.h"
#include "provisioning/disk/signature.h"

struct spans {
    uint8_t head[SIGNATURE_SPAN];
    uint8_t tail[SIGNATURE_SPAN];
};

static const char *describe(const struct spans *spans)
{
    static char text[SIGNATURE_TEXT_SIZE];

    signature_describe(spans->head, SIGNATURE_SPAN, spans->tail, SIGNATURE_SPAN, text);
    return text;
}

static struct spans *blank(int value)
{
    struct spans *spans = malloc(sizeof(*spans));

    assert_non_null(spans);
    memset(spans, value, sizeof(*spans));
    return spans;
}

static void test_blank(void **state)
{
    struct spans *zeros = blank(0);
    struct spans *ones = blank(0xFF);
    char text[SIGNATURE_TEXT_SIZE] = "x";

    (void)state;
    assert_string_equal(describe(zeros), "");
    assert_string_equal(describe(ones), "");
    zeros->head[SIGNATURE_SPAN - 1] = 1;
    assert_string_equal(describe(zeros), "data of unknown kind");
    zeros->head[SIGNATURE_SPAN - 1] = 0;
    zeros->tail[0] = 1;
    assert_string_equal(describe(zeros), "data of unknown kind");
    ones->tail[77] = 0;
    assert_string_equal(describe(ones), "data of unknown kind");
    signature_describe(zeros->head, 0, zeros->tail, 0, text);
    assert_string_equal(text, "");
    free(zeros);
    free(ones);
}

static void test_names(void **state)
{
    static const struct {
        size_t at;
        const char *bytes;
        const char *text;
    } cases[] = {
        {0, "XFSB", "XFS"},
        {1080, "\x53\xef", "ext2, ext3 or ext4"},
        {65600, "_BHRfS_M", "Btrfs"},
        {0, "LUKS\xba\xbe", "LUKS"},
        {512, "LABELONE", "LVM"},
        {4096, "\xfc\x4e\x2b\xa9", "Linux RAID"},
        {32769, "CD001", "ISO 9660"},
        {4086, "SWAPSPACE2", "swap"},
        {512, "EFI PART", "GPT partition table"},
        {4096, "EFI PART", "GPT partition table"},
        {510, "\x55\xaa", "MBR partition table"},
        {3, "NTFS    ", "NTFS"},
        {82, "FAT32   ", "FAT"},
        {1024, "\xe2\xe1\xf5\xe0", "EROFS"},
    };

    (void)state;
    for (size_t i = 0; i < RAY_ARRAY_COUNT(cases); i++) {
        struct spans *spans = blank(0);

        memcpy(&spans->head[cases[i].at], cases[i].bytes, strlen(cases[i].bytes));
        assert_string_equal(describe(spans), cases[i].text);
        free(spans);
    }
}

static void test_several(void **state)
{
    struct spans *spans = blank(0);

    (void)state;
    memcpy(&spans->head[512], "EFI PART", 8);
    memcpy(&spans->head[510], "\x55\xaa", 2); /* the protective one */
    memcpy(&spans->tail[SIGNATURE_SPAN - 512], "EFI PART", 8);
    assert_string_equal(describe(spans), "GPT partition table");
    memset(spans->head, 0, SIGNATURE_SPAN);
    assert_string_equal(describe(spans), "GPT partition table (the copy at the end)");
    memcpy(spans->head, "XFSB", 4);
    memcpy(&spans->head[1080], "\x53\xef", 2);
    assert_string_equal(describe(spans), "GPT partition table (the copy at the end), XFS, "
                                         "ext2, ext3 or ext4");
    memset(spans, 0, sizeof(*spans));
    memcpy(&spans->head[54], "FAT16", 5);
    memcpy(&spans->head[510], "\x55\xaa", 2);
    assert_string_equal(describe(spans), "FAT");
    free(spans);
}

/* Spans of every small size are looked at without leaving them. */
static void test_small(void **state)
{
    char text[SIGNATURE_TEXT_SIZE];

    (void)state;
    for (size_t size = 1; size < 1100; size++) {
        uint8_t *bytes = malloc(size);

        assert_non_null(bytes);
        memset(bytes, 0xAA, size);
        bytes[0] = 0;
        signature_describe(bytes, size, bytes, size, text);
        assert_string_equal(text, size == 1 ? "" : "data of unknown kind");
        free(bytes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_blank),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_several),
        cmocka_unit_test(test_small),
    };
    return cmocka_run_group_tests_name("provisioning/disk/signature", tests, NULL, NULL);
}
