/* Groups: labels of machines, with what those get that have nothing of their own. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "provisioning/pxe/control_internal.h"

/* With an assignment, and without: the rest of the labels is not listed. */
enum { GROUP_COUNT_MAX = 2 * PROVISION_TABLE_GROUP_COUNT_MAX };

/* Those without assignment exist only as labels of machines. */
struct labels {
    const char **names;
    size_t count;
};

static bool knows(const struct labels *labels, const char *name)
{
    for (size_t i = 0; i < labels->count; i++) {
        if (strcmp(labels->names[i], name) == 0) {
            return true;
        }
    }
    return false;
}

static int compare(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* All groups by name: those with an assignment, then the labels, no more than the table may have
 * of the former. */
static bool collect(const struct provision_table *table, struct ray_arena *arena,
                    struct labels *out)
{
    size_t count = provision_table_group_count(table);

    out->names = ray_arena_alloc(arena, GROUP_COUNT_MAX * sizeof(char *));
    if (out->names == NULL) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        out->names[out->count++] = provision_table_group_at(table, i)->name;
    }
    for (size_t i = 0; i < provision_table_count(table); i++) {
        const char *label = provision_table_at(table, i)->group;

        if (label[0] != '\0' && out->count < GROUP_COUNT_MAX && !knows(out, label)) {
            out->names[out->count++] = label;
        }
    }
    qsort(out->names, out->count, sizeof(out->names[0]), compare);
    return true;
}

static uint32_t machine_count(const struct provision_table *table, const char *group)
{
    uint32_t count = 0;

    for (size_t i = 0; i < provision_table_count(table); i++) {
        count += strcmp(provision_table_at(table, i)->group, group) == 0 ? 1 : 0;
    }
    return count;
}

static bool fill(const struct provision_table *table, struct ray_arena *arena, const char *name,
                 const struct provision_assignment *assignment, Rayos__Provision__Group *out)
{
    static const struct provision_assignment none = {0};

    rayos__provision__group__init(out);
    out->name = control_text(name);
    out->machine_count = machine_count(table, name);
    out->assignment = control_encode_assignment(arena, assignment != NULL ? assignment : &none);
    return out->assignment != NULL;
}

static bool encode(const struct provision_table *table, struct ray_arena *arena,
                   Rayos__Provision__Groups *out)
{
    struct labels labels = {0};

    if (!collect(table, arena, &labels)) {
        return false;
    }
    out->groups = ray_arena_alloc(arena, (labels.count + 1) * sizeof(out->groups[0]));
    for (size_t i = 0; out->groups != NULL && i < labels.count; i++) {
        const struct provision_group *group = provision_table_group_find(table, labels.names[i]);
        Rayos__Provision__Group *message = ray_arena_alloc(arena, sizeof(*message));

        if (message == NULL || !fill(table, arena, labels.names[i],
                                     group != NULL ? &group->assignment : NULL, message)) {
            return false;
        }
        out->groups[out->n_groups++] = message;
    }
    return out->groups != NULL;
}

void control_groups(struct ray_rpc_call *call, const ProtobufCMessage *input, void *arg)
{
    struct provision_control *control = arg;
    Rayos__Provision__Groups groups = RAYOS__PROVISION__GROUPS__INIT;
    struct ray_arena arena;

    (void)input;
    ray_arena_init(&arena, CONTROL_ARENA_SIZE_MAX);
    if (encode(control->service->table, &arena, &groups)) {
        (void)ray_rpc_reply(call, &groups.base); /* the caller may have left */
    } else {
        control_fail_memory(call);
    }
    ray_arena_fini(&arena);
}

static void reply_group(struct provision_control *control, struct ray_rpc_call *call,
                        const char *name, const struct provision_assignment *assignment)
{
    Rayos__Provision__Group group;
    struct ray_arena arena;

    ray_arena_init(&arena, CONTROL_ARENA_SIZE_MAX);
    if (fill(control->service->table, &arena, name, assignment, &group)) {
        (void)ray_rpc_reply(call, &group.base); /* the caller may have left */
    } else {
        control_fail_memory(call);
    }
    ray_arena_fini(&arena);
}

static void answer_group(struct control_change *change)
{
    const struct provision_group *group =
        provision_table_group_find(change->control->service->table, change->group);

    reply_group(change->control, change->call, change->group,
                group != NULL ? &group->assignment : NULL);
}

static int plan(struct provision_control *control, const Rayos__Provision__GroupSetRequest *request,
                struct provision_assignment *out, struct ray_err *err)
{
    const struct control_wishes wishes = {request->boot, request->image, request->arguments};
    const struct provision_group *known;
    char name[PROVISION_RECORD_NAME_SIZE];
    int rc = control_check_reason(request->reason, err);

    if (rc == RAY_OK && !control_wishes_any(&wishes) && !request->clear) {
        (void)ray_fail(err, RAY_EINVAL, "nothing to set for group '%.40s'", request->name);
        rc = ray_next(err, "give boot, image, arguments or clear");
    }
    if (rc == RAY_OK && request->name[0] == '\0') {
        rc = ray_fail(err, RAY_EINVAL, "a group needs a name");
    }
    if (rc == RAY_OK) {
        rc = control_put_name(request->name, name, err);
    }
    if (rc != RAY_OK) {
        return rc;
    }
    known = provision_table_group_find(control->service->table, name);
    *out = known != NULL && !request->clear ? known->assignment : (struct provision_assignment){0};
    rc = request->clear ? RAY_OK : control_wishes_merge(control, &wishes, out, err);
    if (rc == RAY_OK && !out->is_set && known == NULL) {
        (void)ray_fail(err, RAY_ENOTFOUND, "group '%s' has no assignment", name);
        (void)ray_next(err, "run 'clusterctl machine group-list'");
        return RAY_ENOTFOUND;
    }
    return rc;
}

void control_group_set(struct ray_rpc_call *call, const ProtobufCMessage *input, void *arg)
{
    const Rayos__Provision__GroupSetRequest *request =
        (const Rayos__Provision__GroupSetRequest *)input;
    const struct provision_time now = provision_time_now();
    struct provision_control *control = arg;
    struct provision_assignment assignment;
    struct control_change *change;
    struct ray_err err = {0};
    char what[64];

    if (!control_may_change(control, call)) {
        return;
    }
    if (plan(control, request, &assignment, &err) != RAY_OK) {
        control_fail(call, &err);
        return;
    }
    if (request->dry_run) {
        reply_group(control, call, request->name, &assignment);
        return;
    }
    change = control_change_make(control, call, answer_group);
    if (change == NULL) {
        control_fail_memory(call);
        return;
    }
    if (provision_table_group_assign(control->service->table, request->name, &assignment, &now,
                                     &err) != RAY_OK) {
        free(change);
        control_fail(call, &err);
        return;
    }
    (void)snprintf(change->group, sizeof(change->group), "%s", request->name); /* a checked name */
    (void)snprintf(what, sizeof(what), "group_set name=%s", change->group);
    control_log(control, call, what, request->reason);
    control_change_wait(change);
}
