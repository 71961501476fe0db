/* Fixed part, then the chunks' hashes; the root is the hash of all but itself, so that whoever
 * knows it knows every byte of the snapshot. */
#include <assert.h>
#include <sodium.h>
#include <string.h>

#include "base/le.h"
#include "coordinator/store/snapshot_file.h"
#include "coordinator/store/zero.h"

static const uint8_t magic[8] = {'R', 'A', 'Y', 'M', 'A', 'N', 'I', '\n'};

enum {
    VERSION = 1,
    ROOT_AT = 72,
    SERVERS_AT = ROOT_AT + COORD_SNAPSHOT_HASH_SIZE,
    SERVER_SIZE = 16
};

static_assert(COORD_SNAPSHOT_MANIFEST_FIXED_SIZE == SERVERS_AT + COORD_SERVERS_MAX * SERVER_SIZE,
              "the hashes follow");

static void root_of(const uint8_t *bytes, size_t size, uint8_t *out)
{
    crypto_generichash_state state;
    int rc = crypto_generichash_init(&state, NULL, 0, COORD_SNAPSHOT_HASH_SIZE);

    rc |= crypto_generichash_update(&state, bytes, ROOT_AT);
    rc |= crypto_generichash_update(&state, bytes + SERVERS_AT, size - SERVERS_AT);
    rc |= crypto_generichash_final(&state, out, COORD_SNAPSHOT_HASH_SIZE);
    assert(rc == 0);
    (void)rc;
}

size_t coord_snapshot_manifest_encode(struct coord_snapshot_info *info, const uint8_t *hashes,
                                      uint8_t *out)
{
    size_t hashes_size = (size_t)info->chunk_count * COORD_SNAPSHOT_HASH_SIZE;
    size_t size = COORD_SNAPSHOT_MANIFEST_FIXED_SIZE + hashes_size;

    assert(info->chunk_count == coord_snapshot_chunks(info->size));
    assert(info->config.count <= COORD_SERVERS_MAX);
    memset(out, 0, COORD_SNAPSHOT_MANIFEST_FIXED_SIZE);
    memcpy(out, magic, sizeof magic);
    ray_store32le(out + 8, VERSION);
    ray_store32le(out + 12, (uint32_t)info->config.count);
    memcpy(out + 16, info->cluster_id.bytes, RAY_ID_SIZE);
    ray_store64le(out + 32, info->index);
    ray_store64le(out + 40, info->term);
    ray_store64le(out + 48, info->config_index);
    ray_store64le(out + 56, info->size);
    ray_store32le(out + 64, info->chunk_count);
    for (size_t i = 0; i < info->config.count; i++) {
        ray_store64le(out + SERVERS_AT + i * SERVER_SIZE, info->config.servers[i].id);
        ray_store32le(out + SERVERS_AT + i * SERVER_SIZE + 8,
                      (uint32_t)info->config.servers[i].role);
    }
    if (hashes_size > 0 && hashes != out + COORD_SNAPSHOT_MANIFEST_FIXED_SIZE) {
        memmove(out + COORD_SNAPSHOT_MANIFEST_FIXED_SIZE, hashes, hashes_size);
    }
    root_of(out, size, info->root);
    memcpy(out + ROOT_AT, info->root, COORD_SNAPSHOT_HASH_SIZE);
    return size;
}

/* Sorted by id, nobody twice, nothing behind the last. */
static bool config_decode(const uint8_t *bytes, uint32_t count, struct coord_config *out)
{
    uint64_t last_id = 0;

    if (count > COORD_SERVERS_MAX) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        const uint8_t *at = bytes + i * SERVER_SIZE;
        uint64_t id = ray_load64le(at);
        uint32_t role = ray_load32le(at + 8);

        if (id <= last_id || role > COORD_VOTER || ray_load32le(at + 12) != 0) {
            return false;
        }
        out->servers[i] = (struct coord_server){.id = id, .role = (enum coord_role)role};
        last_id = id;
    }
    out->count = count;
    return coord_is_zero(bytes + (size_t)count * SERVER_SIZE,
                         (size_t)(COORD_SERVERS_MAX - count) * SERVER_SIZE);
}

int coord_snapshot_manifest_decode(const uint8_t *bytes, size_t size,
                                   struct coord_snapshot_info *out, const uint8_t **out_hashes,
                                   struct ray_err *err)
{
    struct coord_snapshot_info info = {0};
    uint8_t root[COORD_SNAPSHOT_HASH_SIZE];

    if (size < COORD_SNAPSHOT_MANIFEST_FIXED_SIZE || memcmp(bytes, magic, sizeof magic) != 0) {
        return ray_fail(err, RAY_EMALFORMED, "that is no manifest of a snapshot");
    }
    root_of(bytes, size, root);
    if (memcmp(root, bytes + ROOT_AT, sizeof root) != 0) {
        return ray_fail(err, RAY_EMALFORMED, "a manifest is damaged");
    }
    if (ray_load32le(bytes + 8) != VERSION) {
        return ray_fail(err, RAY_EUNSUPPORTED, "a snapshot of format %u, this program knows %d",
                        ray_load32le(bytes + 8), VERSION);
    }
    memcpy(info.cluster_id.bytes, bytes + 16, RAY_ID_SIZE);
    info.index = ray_load64le(bytes + 32);
    info.term = ray_load64le(bytes + 40);
    info.config_index = ray_load64le(bytes + 48);
    info.size = ray_load64le(bytes + 56);
    info.chunk_count = ray_load32le(bytes + 64);
    if (info.size > (uint64_t)COORD_SNAPSHOT_CHUNKS_MAX * COORD_SNAPSHOT_CHUNK_SIZE ||
        info.chunk_count != coord_snapshot_chunks(info.size) ||
        size != COORD_SNAPSHOT_MANIFEST_FIXED_SIZE +
                    (size_t)info.chunk_count * COORD_SNAPSHOT_HASH_SIZE) {
        return ray_fail(err, RAY_EMALFORMED, "a manifest of %zu bytes does not fit its snapshot",
                        size);
    }
    if (info.index == 0 || info.term == 0 || info.config_index > info.index ||
        ray_load32le(bytes + 68) != 0 || ray_id_is_none(&info.cluster_id) ||
        !config_decode(bytes + SERVERS_AT, ray_load32le(bytes + 12), &info.config)) {
        return ray_fail(err, RAY_EMALFORMED, "a manifest says what cannot be");
    }
    memcpy(info.root, root, sizeof root);
    *out = info;
    *out_hashes = bytes + COORD_SNAPSHOT_MANIFEST_FIXED_SIZE;
    return RAY_OK;
}
