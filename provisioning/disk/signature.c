/* Order of the table is the order in the text; containers come before what may be within. */
#include "provisioning/disk/signature.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/size.h"

enum where { HEAD, TAIL };

/* `at` counts from the beginning, or for TAIL back from the end. */
struct magic {
    const char *name;
    enum where where;
    size_t at;
    size_t size;
    const char *bytes;
};

static const struct magic magics[] = {
    {"GPT partition table", HEAD, 512, 8, "EFI PART"},
    {"GPT partition table", HEAD, 4096, 8, "EFI PART"},
    {"GPT partition table (the copy at the end)", TAIL, 512, 8, "EFI PART"},
    {"GPT partition table (the copy at the end)", TAIL, 4096, 8, "EFI PART"},
    {"Apple partition map", HEAD, 512, 4, "PM\0\0"},
    {"LUKS", HEAD, 0, 6, "LUKS\xba\xbe"},
    {"BitLocker", HEAD, 3, 8, "-FVE-FS-"},
    {"LVM", HEAD, 512, 8, "LABELONE"},
    {"LVM", HEAD, 0, 8, "LABELONE"},
    {"LVM", HEAD, 1024, 8, "LABELONE"},
    {"LVM", HEAD, 1536, 8, "LABELONE"},
    {"Linux RAID", HEAD, 0, 4, "\xfc\x4e\x2b\xa9"},
    {"Linux RAID", HEAD, 4096, 4, "\xfc\x4e\x2b\xa9"},
    {"Linux RAID", TAIL, 65536, 4, "\xfc\x4e\x2b\xa9"},
    {"Linux RAID", TAIL, 8192, 4, "\xfc\x4e\x2b\xa9"},
    {"bcache", HEAD, 4120, 8, "\xc6\x85\x73\xf6\x4e\x1a\x45\xca"},
    {"ZFS", HEAD, 131072, 8, "\x0c\xb1\xba\x00\x00\x00\x00\x00"},
    {"Ceph", HEAD, 0, 22, "bluestore block device"},
    {"XFS", HEAD, 0, 4, "XFSB"},
    {"ext2, ext3 or ext4", HEAD, 1080, 2, "\x53\xef"},
    {"Btrfs", HEAD, 65600, 8, "_BHRfS_M"},
    {"F2FS", HEAD, 1024, 4, "\x10\x20\xf5\xf2"},
    {"EROFS", HEAD, 1024, 4, "\xe2\xe1\xf5\xe0"},
    {"squashfs", HEAD, 0, 4, "hsqs"},
    {"NTFS", HEAD, 3, 8, "NTFS    "},
    {"exFAT", HEAD, 3, 8, "EXFAT   "},
    {"FAT", HEAD, 82, 8, "FAT32   "},
    {"FAT", HEAD, 54, 5, "FAT16"},
    {"FAT", HEAD, 54, 5, "FAT12"},
    {"ISO 9660", HEAD, 32769, 5, "CD001"},
    {"UDF", HEAD, 32769, 5, "BEA01"},
    {"HFS+", HEAD, 1024, 2, "H+"},
    {"HFS+", HEAD, 1024, 2, "HX"},
    {"APFS", HEAD, 32, 4, "NXSB"},
    {"JFS", HEAD, 32768, 4, "JFS1"},
    {"ReiserFS", HEAD, 65588, 6, "ReIsEr"},
    {"swap", HEAD, 4086, 10, "SWAPSPACE2"},
    {"swap", HEAD, 4086, 10, "SWAP-SPACE"},
    {"MBR partition table", HEAD, 510, 2, "\x55\xaa"},
};

static bool is_found(const struct magic *magic, const uint8_t *bytes, size_t size)
{
    size_t at = magic->at;

    if (magic->where == TAIL) {
        if (at > size) {
            return false;
        }
        at = size - at;
    }
    return at <= size && magic->size <= size - at &&
           memcmp(&bytes[at], magic->bytes, magic->size) == 0;
}

static bool is_blank(const uint8_t *bytes, size_t size)
{
    return size == 0 ||
           ((bytes[0] == 0x00 || bytes[0] == 0xFF) && memcmp(bytes, &bytes[1], size - 1) == 0);
}

/* What is found besides something else and says nothing more: the copy of a table, the
 * protective MBR, the end of a boot sector that is the same as an MBR's. */
static bool is_implied(const struct magic *magic, const char *text)
{
    static const char *const implying[] = {"GPT partition table", "FAT", "NTFS", "BitLocker"};
    bool is_mbr = magic->where == HEAD && magic->at == 510;
    bool is_copy = magic->where == TAIL && strncmp(magic->name, "GPT", 3) == 0;

    for (size_t i = 0; i < RAY_ARRAY_COUNT(implying); i++) {
        if ((is_mbr || (is_copy && i == 0)) && strstr(text, implying[i]) != NULL) {
            return true;
        }
    }
    return strstr(text, magic->name) != NULL;
}

void signature_describe(const uint8_t *head, size_t head_size, const uint8_t *tail,
                        size_t tail_size, char out[static SIGNATURE_TEXT_SIZE])
{
    size_t used = 0;

    out[0] = '\0';
    for (size_t i = 0; i < RAY_ARRAY_COUNT(magics); i++) {
        const struct magic *magic = &magics[i];
        bool is_tail = magic->where == TAIL;

        if (!is_found(magic, is_tail ? tail : head, is_tail ? tail_size : head_size) ||
            is_implied(magic, out)) {
            continue;
        }
        if (used + strlen(magic->name) + 3 < SIGNATURE_TEXT_SIZE) {
            used += (size_t)snprintf(&out[used], SIGNATURE_TEXT_SIZE - used, "%s%s",
                                     used == 0 ? "" : ", ", magic->name);
        }
    }
    if (used == 0 && (!is_blank(head, head_size) || !is_blank(tail, tail_size))) {
        (void)snprintf(out, SIGNATURE_TEXT_SIZE, "data of unknown kind");
    }
}
