/* The first bytes of a disk: what is accepted lies within the disk, and survives being written
 * and read again. The first two bytes tell the size of the disk. Each input is also read with its
 * checksums made right, which no fuzzer finds by itself. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "provisioning/disk/gpt.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void write_and_read(struct gpt *gpt)
{
    static struct gpt again;
    static uint8_t head[GPT_HEAD_SIZE];
    static uint8_t tail[GPT_TAIL_SIZE];

    for (size_t i = 0; i < gpt->partition_count; i++) {
        if (gpt->partitions[i].first_sector < 2 + GPT_TABLE_SECTORS ||
            gpt->partitions[i].last_sector > gpt->sector_count - 2 - GPT_TABLE_SECTORS) {
            return; /* a table of fewer entries leaves more room than ours */
        }
    }
    gpt_write(gpt, head, tail);
    if (gpt_read(head, sizeof(head), gpt->sector_count, &again, NULL) != RAY_OK ||
        again.partition_count != gpt->partition_count) {
        abort();
    }
}

static void read_and_check(const uint8_t *head, size_t size, uint64_t sector_count)
{
    static struct gpt gpt;

    if (gpt_read(head, size, sector_count, &gpt, NULL) != RAY_OK) {
        return;
    }
    for (size_t i = 0; i < gpt.partition_count; i++) {
        const struct gpt_partition *partition = &gpt.partitions[i];

        if (partition->first_sector > partition->last_sector ||
            partition->last_sector >= sector_count || strlen(partition->name) >= GPT_NAME_SIZE) {
            abort();
        }
    }
    if (sector_count > (GPT_HEAD_SIZE + GPT_TAIL_SIZE) / GPT_SECTOR_SIZE) {
        write_and_read(&gpt);
    }
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

static void put32(uint8_t *at, uint32_t value)
{
    for (size_t i = 0; i < 4; i++) {
        at[i] = (uint8_t)(value >> (8 * i));
    }
}

/* Signature, a header of 92 bytes, both sums. The count of entries is what the input says. */
static void sign(uint8_t head[static GPT_HEAD_SIZE])
{
    static const uint8_t signature[8] = {'E', 'F', 'I', ' ', 'P', 'A', 'R', 'T'};
    uint8_t *header = &head[GPT_SECTOR_SIZE];
    size_t count = header[80];

    if (count > GPT_PARTITION_COUNT_MAX) {
        return;
    }
    memcpy(header, signature, sizeof(signature));
    put32(&header[12], 92);
    put32(&header[88], checksum(&header[GPT_SECTOR_SIZE], count * 128));
    put32(&header[16], 0);
    put32(&header[16], checksum(header, 92));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t head[GPT_HEAD_SIZE];
    uint64_t sector_count;

    if (size < 2) {
        return 0;
    }
    sector_count = (uint64_t)(data[0] | data[1] << 8) * 64;
    read_and_check(&data[2], size - 2, sector_count);
    memset(head, 0, sizeof(head));
    memcpy(head, &data[2], size - 2 < sizeof(head) ? size - 2 : sizeof(head));
    sign(head);
    read_and_check(head, sizeof(head), sector_count);
    return 0;
}
