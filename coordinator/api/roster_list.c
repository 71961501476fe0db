#include "coordinator/api/roster_list.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/arena.h"
#include "net/proto_codec.h"

enum { PARSE_ARENA_SIZE = 256 << 10 };

/* ---- from bytes ---- */

static int take_line(const Rayos__Cluster__Member *member, struct member_roster_line *out,
                     struct ray_err *err)
{
    int rc = ray_id_from_bytes(member->id.data, member->id.len, &out->id, err);

    if (rc != RAY_OK) {
        return RAY_EMALFORMED;
    }
    if (member->identity_key.len != COORD_KEY_SIZE || member->link_key.len != COORD_KEY_SIZE ||
        strlen(member->address) >= sizeof out->address) {
        return ray_fail(err, RAY_EMALFORMED, "a member of a roster without its keys or address");
    }
    memcpy(out->identity_key, member->identity_key.data, COORD_KEY_SIZE);
    memcpy(out->link_key, member->link_key.data, COORD_KEY_SIZE);
    (void)snprintf(out->address, sizeof out->address, "%s", member->address);
    return RAY_OK;
}

static int compare_lines(const void *a, const void *b)
{
    const struct member_roster_line *left = a;
    const struct member_roster_line *right = b;

    return memcmp(left->id.bytes, right->id.bytes, RAY_ID_SIZE);
}

static int sort(struct member_roster *roster, struct ray_err *err)
{
    qsort(roster->lines, roster->count, sizeof roster->lines[0], compare_lines);
    for (size_t i = 1; i < roster->count; i++) {
        if (compare_lines(&roster->lines[i - 1], &roster->lines[i]) == 0) {
            return ray_fail(err, RAY_EMALFORMED, "a roster has a node twice");
        }
    }
    return RAY_OK;
}

static int take_head(const Rayos__Cluster__Joined *joined, struct member_roster *out,
                     struct ray_err *err)
{
    if (ray_id_from_bytes(joined->cluster_id.data, joined->cluster_id.len, &out->cluster_id, err) !=
            RAY_OK ||
        strlen(joined->cluster) >= sizeof out->cluster || joined->cluster_epoch == 0) {
        return ray_fail(err, RAY_EMALFORMED, "a roster of no cluster");
    }
    if (joined->n_members == 0 || joined->n_members > MEMBER_ROSTER_MAX) {
        return ray_fail(err, RAY_EMALFORMED, "a roster of %zu members, 1 to %d are possible",
                        joined->n_members, MEMBER_ROSTER_MAX);
    }
    (void)snprintf(out->cluster, sizeof out->cluster, "%s", joined->cluster);
    out->cluster_epoch = joined->cluster_epoch;
    out->revision = joined->revision;
    return RAY_OK;
}

static int take_all(const Rayos__Cluster__Joined *joined, struct member_roster *out,
                    struct ray_err *err)
{
    int rc = take_head(joined, out, err);

    while (rc == RAY_OK && out->count < joined->n_members) {
        rc = take_line(joined->members[out->count], &out->lines[out->count], err);
        out->count += rc == RAY_OK;
    }
    return rc == RAY_OK ? sort(out, err) : rc;
}

int member_roster_take(const Rayos__Cluster__Joined *joined, struct member_roster *out,
                       struct ray_err *err)
{
    struct member_roster *taken = calloc(1, sizeof *taken);
    int rc;

    if (taken == NULL) {
        return ray_fail(err, RAY_ENOMEM, "a roster");
    }
    rc = take_all(joined, taken, err);
    if (rc == RAY_OK) {
        *out = *taken;
    }
    free(taken);
    return rc;
}

int member_roster_parse(const uint8_t *bytes, size_t size, struct member_roster *out,
                        struct ray_err *err)
{
    ProtobufCMessage *message = NULL;
    struct ray_arena arena;
    int rc;

    ray_arena_init(&arena, PARSE_ARENA_SIZE);
    rc = ray_proto_unpack(&rayos__cluster__joined__descriptor, bytes, size, &arena, &message, err);
    if (rc == RAY_OK) {
        rc = member_roster_take((const Rayos__Cluster__Joined *)message, out, err);
    }
    ray_arena_fini(&arena);
    return rc;
}

/* ---- from the registry ---- */

static bool is_listed(const struct coord_object *node, const struct ray_id *self)
{
    return (node->node.state == COORD_NODE_MEMBER || node->node.state == COORD_NODE_DRAINED) &&
           node->node.address[0] != '\0' &&
           (node->node.role != COORD_NODE_OBSERVER || ray_id_equal(&node->id, self));
}

static void add_node(struct member_roster *out, const struct coord_object *node)
{
    struct member_roster_line *line = &out->lines[out->count++];

    line->id = node->id;
    memcpy(line->identity_key, node->node.identity_key, COORD_KEY_SIZE);
    memcpy(line->link_key, node->node.link_key, COORD_KEY_SIZE);
    (void)snprintf(line->address, sizeof line->address, "%s", node->node.address);
}

bool member_roster_list(struct coord_fsm *fsm, const struct ray_id *self, struct member_roster *out)
{
    const struct coord_object *cluster = coord_fsm_cluster(fsm);
    const struct coord_object *node = coord_fsm_next(fsm, COORD_NODE, NULL);

    if (cluster == NULL) {
        return false;
    }
    *out = (struct member_roster){.cluster_id = cluster->id,
                                  .cluster_epoch = cluster->cluster.cluster_epoch,
                                  .revision = coord_fsm_index(fsm)};
    (void)snprintf(out->cluster, sizeof out->cluster, "%s", cluster->name);
    while (node != NULL && out->count < MEMBER_ROSTER_MAX) {
        struct ray_id id = node->id;

        if (is_listed(node, self)) {
            add_node(out, node);
        }
        node = coord_fsm_next(fsm, COORD_NODE, &id);
    }
    qsort(out->lines, out->count, sizeof out->lines[0], compare_lines);
    return true;
}

/* ---- to bytes ---- */

void member_roster_describe(const struct member_roster *roster, struct member_roster_message *out)
{
    rayos__cluster__joined__init(&out->joined);
    out->joined.cluster_id = ray_proto_id(&roster->cluster_id);
    out->joined.cluster_epoch = roster->cluster_epoch;
    out->joined.cluster = (char *)(uintptr_t)roster->cluster;
    out->joined.revision = roster->revision;
    for (size_t i = 0; i < roster->count; i++) {
        const struct member_roster_line *line = &roster->lines[i];
        Rayos__Cluster__Member *member = &out->members[i];

        rayos__cluster__member__init(member);
        member->id = ray_proto_id(&line->id);
        member->identity_key = ray_proto_bytes(line->identity_key, COORD_KEY_SIZE);
        member->link_key = ray_proto_bytes(line->link_key, COORD_KEY_SIZE);
        member->address = (char *)(uintptr_t)line->address;
        out->pointers[i] = member;
    }
    out->joined.members = out->pointers;
    out->joined.n_members = roster->count;
}

int member_roster_pack(const struct member_roster *roster, struct ray_buf *out)
{
    struct member_roster_message *message = calloc(1, sizeof *message);
    size_t size;
    int rc;

    if (message == NULL) {
        return RAY_ENOMEM;
    }
    member_roster_describe(roster, message);
    size = rayos__cluster__joined__get_packed_size(&message->joined);
    ray_buf_clear(out);
    rc = ray_buf_reserve(out, size);
    if (rc == RAY_OK) {
        out->size = rayos__cluster__joined__pack(&message->joined, out->data);
    }
    free(message);
    return rc;
}

/* ---- questions ---- */

const struct member_roster_line *member_roster_find(const struct member_roster *roster,
                                                    const struct ray_id *id)
{
    for (size_t i = 0; i < roster->count; i++) {
        if (ray_id_equal(&roster->lines[i].id, id)) {
            return &roster->lines[i];
        }
    }
    return NULL;
}

static bool is_same_line(const struct member_roster_line *a, const struct member_roster_line *b)
{
    return ray_id_equal(&a->id, &b->id) &&
           memcmp(a->identity_key, b->identity_key, COORD_KEY_SIZE) == 0 &&
           memcmp(a->link_key, b->link_key, COORD_KEY_SIZE) == 0 &&
           strcmp(a->address, b->address) == 0;
}

bool member_roster_is_same(const struct member_roster *a, const struct member_roster *b)
{
    if (!ray_id_equal(&a->cluster_id, &b->cluster_id) || a->cluster_epoch != b->cluster_epoch ||
        strcmp(a->cluster, b->cluster) != 0 || a->count != b->count) {
        return false;
    }
    for (size_t i = 0; i < a->count; i++) {
        if (!is_same_line(&a->lines[i], &b->lines[i])) {
            return false;
        }
    }
    return true;
}

bool member_roster_is_ahead(const struct member_roster *roster, const struct coord_fsm *fsm)
{
    const struct coord_object *cluster = coord_fsm_cluster(fsm);

    if (roster->cluster_epoch == 0) {
        return false;
    }
    if (cluster == NULL || cluster->cluster.cluster_epoch < roster->cluster_epoch) {
        return true;
    }
    return cluster->cluster.cluster_epoch == roster->cluster_epoch &&
           coord_fsm_index(fsm) < roster->revision;
}

bool member_roster_decides(const struct member_roster *roster, const struct coord_fsm *fsm)
{
    return fsm == NULL || coord_fsm_cluster(fsm) == NULL || member_roster_is_ahead(roster, fsm);
}

bool member_roster_renew(const struct member_roster *kept, struct coord_fsm *fsm,
                         const struct ray_id *self, struct member_roster *out)
{
    return !member_roster_decides(kept, fsm) && member_roster_list(fsm, self, out) &&
           out->count > 0 && !member_roster_is_same(out, kept);
}
