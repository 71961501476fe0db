/* The first bytes of a disk: what is accepted lies within the disk, and survives being written
 * and read again. The first two bytes tell the size of the disk. */
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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct gpt gpt;
    uint64_t sector_count;

    if (size < 2) {
        return 0;
    }
    sector_count = (uint64_t)(data[0] | data[1] << 8) * 64;
    if (gpt_read(&data[2], size - 2, sector_count, &gpt, NULL) != RAY_OK) {
        return 0;
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
    return 0;
}
