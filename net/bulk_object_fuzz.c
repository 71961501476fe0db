/* bulk_object_fuzz.c - any messages to either end. The first byte chooses the end, whether a
 * receiver resumes, and whether an honest beginning comes first; then messages of {u16 size,
 * bytes}. A receiver must never write a chunk that is not that of its list, a sender never send
 * beyond the window. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/le.h"
#include "net/bulk_object_impl.h"

enum { CHUNK = RAY_BULK_CHUNK_SIZE_MIN, COUNT = 5, SIZE = COUNT * CHUNK - 7 };

struct scene {
    uint8_t data[COUNT * CHUNK];
    uint8_t hashes[COUNT * RAY_BULK_HASH_SIZE];
    struct ray_bulk_object object;
    struct ray_bulk_object begun;
    const uint8_t *begun_hashes;
    uint32_t written;
    unsigned sent_chunks;
};

static int source_read(void *arg, uint32_t index, void *out, size_t size, struct ray_err *err)
{
    const struct scene *scene = arg;

    (void)err;
    memcpy(out, scene->data + (size_t)index * CHUNK, size);
    return RAY_OK;
}

static int begin(void *arg, const struct ray_bulk_object *object, const uint8_t *hashes,
                 struct ray_err *err)
{
    struct scene *scene = arg;

    (void)err;
    scene->begun = *object;
    scene->begun_hashes = hashes;
    return RAY_OK;
}

static int write_chunk(void *arg, uint32_t index, const void *bytes, size_t size,
                       struct ray_err *err)
{
    struct scene *scene = arg;
    uint8_t hash[RAY_BULK_HASH_SIZE];

    (void)err;
    ray_bulk_chunk_hash(bytes, size, hash);
    if (index != scene->written || size > scene->begun.chunk_size ||
        memcmp(hash, scene->begun_hashes + (size_t)index * RAY_BULK_HASH_SIZE, sizeof hash) != 0) {
        abort();
    }
    scene->written++;
    return RAY_OK;
}

static int count_sent(void *arg, const void *bytes, size_t size)
{
    struct scene *scene = arg;

    scene->sent_chunks += size > 0 && ((const uint8_t *)bytes)[0] == RAY_BULK_CHUNK ? 1 : 0;
    return RAY_OK;
}

static void init(struct scene *scene)
{
    *scene = (struct scene){.object = {.size_bytes = SIZE, .chunk_size = CHUNK}};
    for (uint32_t i = 0; i < COUNT; i++) {
        scene->data[(size_t)i * CHUNK] = (uint8_t)i;
        ray_bulk_chunk_hash(scene->data + (size_t)i * CHUNK,
                            ray_bulk_chunk_size(&scene->object, COUNT, i),
                            scene->hashes + (size_t)i * RAY_BULK_HASH_SIZE);
    }
    if (ray_bulk_root(SIZE, CHUNK, scene->hashes, scene->object.root, NULL) != RAY_OK) {
        abort();
    }
}

/* The next message of the input; false at its end. */
static bool next(const uint8_t **data, size_t *left, const uint8_t **out, size_t *out_size)
{
    size_t size;

    if (*left < 2) {
        return false;
    }
    size = (*data)[0] | (size_t)(*data)[1] << 8;
    size = size < *left - 2 ? size : *left - 2;
    *out = *data + 2;
    *out_size = size;
    *data += 2 + size;
    *left -= 2 + size;
    return true;
}

static void fuzz_receiver(struct scene *scene, bool resumes, bool has_head, const uint8_t *data,
                          size_t left)
{
    struct ray_bulk_wish wish = {
        .first_chunk = resumes ? 2 : 0, .window = 3, .has_root = resumes, .size_max = 1 << 24};
    struct ray_bulk_sink sink = {.begin = begin, .write = write_chunk, .arg = scene};
    struct ray_bulk_receiver *receiver = NULL;
    uint8_t head[RAY_BULK_HEAD_SIZE];
    uint8_t list[RAY_BULK_PART_HEAD_SIZE + sizeof scene->hashes];
    const uint8_t *message;
    size_t size;
    int rc;

    memcpy(wish.root, scene->object.root, sizeof wish.root);
    scene->written = wish.first_chunk;
    if (ray_bulk_receiver_create(&receiver, &wish, &sink, count_sent, scene, NULL) != RAY_OK) {
        abort();
    }
    rc = RAY_OK;
    if (has_head) {
        ray_bulk_put_part(head, RAY_BULK_HEAD, CHUNK);
        ray_store64le(head + 8, SIZE);
        memcpy(head + 16, scene->object.root, RAY_BULK_HASH_SIZE);
        ray_bulk_put_part(list, RAY_BULK_LIST, 0);
        memcpy(list + RAY_BULK_PART_HEAD_SIZE, scene->hashes, sizeof scene->hashes);
        if (ray_bulk_receiver_receive(receiver, head, sizeof head, NULL) != RAY_OK ||
            ray_bulk_receiver_receive(receiver, list, sizeof list, NULL) != RAY_OK) {
            abort();
        }
    }
    while (rc == RAY_OK && next(&data, &left, &message, &size)) {
        rc = ray_bulk_receiver_receive(receiver, message, size, NULL);
    }
    if (scene->written != ray_bulk_receiver_taken(receiver)) {
        abort();
    }
    ray_bulk_receiver_destroy(receiver);
}

static void fuzz_sender(struct scene *scene, const uint8_t *data, size_t left)
{
    struct ray_bulk_source source = {
        .object = scene->object, .hashes = scene->hashes, .read = source_read, .arg = scene};
    struct ray_bulk_sender *sender = NULL;
    const uint8_t *message;
    size_t size;
    int rc = RAY_OK;

    if (ray_bulk_sender_create(&sender, &source, count_sent, scene, NULL) != RAY_OK) {
        abort();
    }
    while (rc == RAY_OK && next(&data, &left, &message, &size)) {
        rc = ray_bulk_sender_receive(sender, message, size, NULL);
        if (rc == RAY_OK) {
            rc = ray_bulk_sender_pump(sender, NULL);
        }
    }
    if (scene->sent_chunks > COUNT) {
        abort();
    }
    ray_bulk_sender_destroy(sender);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct scene scene;

    if (size < 1) {
        return 0;
    }
    init(&scene);
    if ((data[0] & 1) != 0) {
        fuzz_sender(&scene, data + 1, size - 1);
    } else {
        fuzz_receiver(&scene, (data[0] & 2) != 0, (data[0] & 4) != 0, data + 1, size - 1);
    }
    return 0;
}
