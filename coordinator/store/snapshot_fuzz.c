/* Any bytes as a manifest from a peer with what follows as its first chunk, with the root made
 * right, so that what lies behind the checksum is reached; and as a file on the disk. */
#include <assert.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

#include "coordinator/store/disk_fake.h"
#include "coordinator/store/snapshot_file.h"

enum { ROOT_AT = 72, SIZE_MAX_TRIED = 1 << 20 };

static void ignore(void *arg)
{
    (void)arg;
}

static void ignore_status(void *arg, int status)
{
    (void)arg, (void)status;
}

static void root_mend(uint8_t *bytes, size_t size)
{
    crypto_generichash_state state;
    size_t behind = ROOT_AT + COORD_SNAPSHOT_HASH_SIZE;

    (void)crypto_generichash_init(&state, NULL, 0, COORD_SNAPSHOT_HASH_SIZE);
    (void)crypto_generichash_update(&state, bytes, ROOT_AT);
    (void)crypto_generichash_update(&state, bytes + behind, size - behind);
    (void)crypto_generichash_final(&state, bytes + ROOT_AT, COORD_SNAPSHOT_HASH_SIZE);
}

static void receive(uint8_t *bytes, size_t size, size_t manifest_size)
{
    struct coord_snapshot_info info;
    const uint8_t *hashes;
    struct coord_fake_disk *fake;
    struct coord_snapshot_receiver *receiver;

    if (coord_snapshot_manifest_decode(bytes, manifest_size, &info, &hashes, NULL) != RAY_OK) {
        return;
    }
    assert(info.config.count <= COORD_SERVERS_MAX);
    if (info.size > SIZE_MAX_TRIED) {
        return;
    }
    fake = coord_fake_disk_create();
    if (coord_snapshot_receiver_create(&receiver, &fake->disk, &info.cluster_id, bytes,
                                       manifest_size, ignore, NULL, NULL) == RAY_OK) {
        coord_fake_disk_run(fake);
        (void)coord_snapshot_receiver_put(receiver, 0, bytes + manifest_size, size - manifest_size,
                                          NULL);
        coord_snapshot_receiver_finish(receiver, ignore_status, NULL);
        coord_fake_disk_run(fake);
        coord_snapshot_receiver_destroy(receiver);
    }
    coord_fake_disk_destroy(fake);
}

static void read_file(const uint8_t *bytes, size_t size)
{
    struct coord_fake_disk *fake = coord_fake_disk_create();
    struct coord_snapshot_info infos[COORD_SNAPSHOTS_MAX];
    size_t count;
    char name[COORD_DISK_NAME_SIZE];

    coord_snapshot_name(1, 1, name);
    fake->disk.ops->create(&fake->disk, name, coord_snapshot_blocks(size + 1), ignore_status, NULL);
    coord_fake_disk_run(fake);
    memcpy(fake->files[0].bytes, bytes, size);
    (void)coord_snapshot_list(&fake->disk, infos, COORD_SNAPSHOTS_MAX, &count, NULL);
    coord_fake_disk_destroy(fake);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *bytes = malloc(size + 1);

    if (bytes == NULL) {
        return 0;
    }
    memcpy(bytes, data, size);
    read_file(bytes, size);
    if (size >= COORD_SNAPSHOT_MANIFEST_FIXED_SIZE) {
        size_t manifest_size = COORD_SNAPSHOT_MANIFEST_FIXED_SIZE;

        if (size >= manifest_size + COORD_SNAPSHOT_HASH_SIZE && bytes[64] == 1) {
            manifest_size += COORD_SNAPSHOT_HASH_SIZE;
        }
        root_mend(bytes, manifest_size);
        receive(bytes, size, manifest_size);
    }
    free(bytes);
    return 0;
}
