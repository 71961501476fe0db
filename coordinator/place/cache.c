/* cache.c - records of each kind in one sorted array, and the objects of the state machine in the
 * same order: old and new are merged in one pass. */
#include "coordinator/place/cache.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* Images have changed when one of these has: a deletion lowers the count, all else raises the
 * newest revision. */
struct images {
    size_t count;
    uint64_t revision;
};

struct coord_place_cache {
    struct ray_id cluster;
    struct images images; /* that the guests' disks are of */
    struct place_records records[PLACE_RECORD_KINDS];
    uint64_t read_count;
    const struct coord_fsm *fsm; /* of the nodes */
    uint64_t index;
    uint64_t generation;
    struct coord_place_node *nodes; /* NULL: none */
    size_t node_count;
};

static const enum coord_kind kinds[] = {
    [PLACE_NODES] = COORD_NODE, [PLACE_GUESTS] = COORD_GUEST, [PLACE_VOLUMES] = COORD_VOLUME};

int coord_place_cache_create(struct coord_place_cache **out_cache, struct ray_err *err)
{
    *out_cache = calloc(1, sizeof **out_cache);
    return *out_cache == NULL ? ray_fail(err, RAY_ENOMEM, "what placement has read") : RAY_OK;
}

static void drop_nodes(struct coord_place_cache *cache)
{
    free(cache->nodes);
    cache->nodes = NULL;
}

static void drop_records(struct coord_place_cache *cache, enum place_record_kind kind)
{
    free(cache->records[kind].items);
    cache->records[kind] = (struct place_records){.count = 0};
}

static void drop_all(struct coord_place_cache *cache)
{
    drop_nodes(cache);
    for (int kind = 0; kind < PLACE_RECORD_KINDS; kind++) {
        drop_records(cache, (enum place_record_kind)kind);
    }
}

void coord_place_cache_destroy(struct coord_place_cache *cache)
{
    if (cache != NULL) {
        drop_all(cache);
        free(cache);
    }
}

void coord_place_cache_forget_objects(struct coord_place_cache *cache)
{
    drop_nodes(cache);
}

uint64_t coord_place_cache_read_count(const struct coord_place_cache *cache)
{
    return cache->read_count;
}

static struct images images_of(struct coord_fsm *fsm)
{
    const struct coord_object *image = coord_fsm_next(fsm, COORD_IMAGE, NULL);
    struct images images = {.count = coord_fsm_count(fsm, COORD_IMAGE)};

    while (image != NULL) {
        struct ray_id id = image->id;

        if (image->revision > images.revision) {
            images.revision = image->revision;
        }
        image = coord_fsm_next(fsm, COORD_IMAGE, &id);
    }
    return images;
}

/* A node may have gone from one cluster to another, with its id and any revision. */
static void note_cluster(struct coord_place_cache *cache, const struct coord_fsm *fsm)
{
    const struct coord_object *cluster = coord_fsm_cluster(fsm);
    struct ray_id id = cluster == NULL ? (struct ray_id){{0}} : cluster->id;

    if (!ray_id_equal(&id, &cache->cluster)) {
        drop_all(cache);
        cache->cluster = id;
    }
}

/* The old record of that id; *at moves on. NULL: there is none. */
static const struct place_record *find_old(const struct place_records *old, size_t *at,
                                           const struct ray_id *id)
{
    while (*at < old->count && memcmp(old->items[*at].id.bytes, id->bytes, RAY_ID_SIZE) < 0) {
        (*at)++;
    }
    return *at < old->count && ray_id_equal(&old->items[*at].id, id) ? &old->items[*at] : NULL;
}

static void renew_one(struct coord_place_cache *cache, const struct coord_object *object,
                      const struct place_record *old, bool has_new_images, place_read *read,
                      void *arg, struct place_record *out)
{
    if (old != NULL && old->revision == object->revision && !(old->has_image && has_new_images)) {
        *out = *old;
    } else {
        *out = (struct place_record){.id = object->id, .revision = object->revision};
        read(arg, object, out);
        cache->read_count++;
    }
    out->object = object;
}

int place_cache_renew(struct coord_place_cache *cache, struct coord_fsm *fsm,
                      enum place_record_kind kind, place_read *read, void *arg)
{
    size_t count = coord_fsm_count(fsm, kinds[kind]);
    struct place_records renewed = {.items = calloc(count + 1, sizeof *renewed.items)};
    const struct coord_object *object = coord_fsm_next(fsm, kinds[kind], NULL);
    struct images images = kind == PLACE_GUESTS ? images_of(fsm) : cache->images;
    bool has_new_images =
        images.count != cache->images.count || images.revision != cache->images.revision;
    size_t at = 0;

    if (renewed.items == NULL) {
        return RAY_ENOMEM;
    }
    note_cluster(cache, fsm);
    while (object != NULL) {
        struct ray_id id = object->id;
        const struct place_record *old = find_old(&cache->records[kind], &at, &id);

        assert(renewed.count < count);
        renew_one(cache, object, old, has_new_images, read, arg, &renewed.items[renewed.count++]);
        object = coord_fsm_next(fsm, kinds[kind], &id);
    }
    drop_records(cache, kind);
    cache->records[kind] = renewed;
    cache->images = images;
    return RAY_OK;
}

const struct place_records *place_cache_records(const struct coord_place_cache *cache,
                                                enum place_record_kind kind)
{
    return &cache->records[kind];
}

const struct coord_place_node *place_cache_nodes(const struct coord_place_cache *cache,
                                                 const struct coord_fsm *fsm, size_t count)
{
    bool is_same = cache->nodes != NULL && cache->fsm == fsm && cache->node_count == count &&
                   cache->index == coord_fsm_index(fsm) &&
                   cache->generation == coord_fsm_grant_generation(fsm);

    return is_same ? cache->nodes : NULL;
}

void place_cache_keep_nodes(struct coord_place_cache *cache, const struct coord_fsm *fsm,
                            const struct coord_place_node *nodes, size_t count)
{
    drop_nodes(cache);
    cache->nodes = calloc(count, sizeof *nodes);
    if (cache->nodes == NULL) {
        return;
    }
    memcpy(cache->nodes, nodes, count * sizeof *nodes);
    cache->node_count = count;
    cache->fsm = fsm;
    cache->index = coord_fsm_index(fsm);
    cache->generation = coord_fsm_grant_generation(fsm);
}
