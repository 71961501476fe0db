/* Groups: labels of machines, with what those get that have nothing of their own. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fault.h"
#include "provisioning/pxe/control_internal.h"

/* ---- provision.groups: a stream that goes on where the last group was ---- */

struct list {
    struct provision_control *control;
    struct ray_rpc_call *call;
    char last[PROVISION_RECORD_NAME_SIZE]; /* ""; none was sent yet */
};

/* Each name as often as it is said: once for an assignment, once for each machine. In order, so
 * that equal ones are neighbours. */
struct names {
    const char **names;
    size_t count;
};

static int compare(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Those after `last`. */
static bool collect(const struct provision_table *table, struct ray_arena *arena, const char *last,
                    struct names *out)
{
    size_t group_count = provision_table_group_count(table);
    size_t machine_count = provision_table_count(table);

    *out = (struct names){
        .names = ray_arena_alloc(arena, (group_count + machine_count + 1) * sizeof(out->names[0]))};
    if (out->names == NULL) {
        return false;
    }
    for (size_t i = 0; i < group_count + machine_count; i++) {
        const char *name = i < group_count ? provision_table_group_at(table, i)->name
                                           : provision_table_at(table, i - group_count)->group;

        if (strcmp(name, last) > 0) { /* which leaves those out that have no group, too */
            out->names[out->count++] = name;
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

static bool fill(struct ray_arena *arena, const char *name,
                 const struct provision_assignment *assignment, Rayos__Provision__Group *out)
{
    static const struct provision_assignment none = {0};

    rayos__provision__group__init(out);
    out->name = control_text(name);
    out->assignment = control_encode_assignment(arena, assignment != NULL ? assignment : &none);
    return out->assignment != NULL;
}

/* One group, whose name was said `count` times. */
static int send_group(const struct list *list, const char *name, size_t count)
{
    const struct provision_group *group =
        provision_table_group_find(list->control->service->table, name);
    Rayos__Provision__Group message;
    struct ray_arena arena;
    int rc = RAY_ENOMEM;

    ray_arena_init(&arena, CONTROL_ARENA_SIZE_MAX);
    if (fill(&arena, name, group != NULL ? &group->assignment : NULL, &message)) {
        message.machine_count = (uint32_t)(count - (group != NULL ? 1 : 0));
        rc = ray_rpc_send(list->call, &message.base);
    }
    ray_arena_fini(&arena);
    return rc;
}

/* RAY_OK: all were sent. */
static int send_names(struct list *list, const struct names *names)
{
    size_t next;

    for (size_t i = 0; i < names->count; i = next) {
        int rc;

        next = i + 1;
        while (next < names->count && strcmp(names->names[next], names->names[i]) == 0) {
            next++;
        }
        rc = send_group(list, names->names[i], next - i);
        if (rc != RAY_OK) {
            return rc;
        }
        (void)snprintf(list->last, sizeof(list->last), "%s", names->names[i]);
    }
    return RAY_OK;
}

static void send_rest(void *arg)
{
    struct list *list = arg;
    struct ray_rpc_call *call = list->call;
    struct ray_arena arena;
    struct names names;
    int rc = RAY_ENOMEM;

    ray_arena_init(&arena, CONTROL_ARENA_SIZE_MAX);
    if (collect(list->control->service->table, &arena, list->last, &names)) {
        rc = send_names(list, &names);
    }
    ray_arena_fini(&arena);
    if (rc == RAY_EAGAIN || rc == RAY_ECLOSED) {
        return; /* on_drain or on_cancel follows */
    }
    free(list);
    if (rc == RAY_OK) {
        control_done(call, "");
    } else {
        control_fail_memory(call);
    }
}

void control_groups(struct ray_rpc_call *call, const ProtobufCMessage *input, void *arg)
{
    struct list *list = ray_fault(RAY_FAULT_ALLOC) != 0 ? NULL : calloc(1, sizeof(*list));

    (void)input;
    if (list == NULL) {
        control_fail_memory(call);
        return;
    }
    list->control = arg;
    list->call = call;
    ray_rpc_call_on_drain(call, send_rest, list);
    ray_rpc_call_on_cancel(call, free, list);
    send_rest(list);
}

/* ---- answers with one group, changes ---- */

static void reply_group(struct provision_control *control, struct ray_rpc_call *call,
                        const char *name, const struct provision_assignment *assignment)
{
    Rayos__Provision__Group group;
    struct ray_arena arena;

    ray_arena_init(&arena, CONTROL_ARENA_SIZE_MAX);
    if (fill(&arena, name, assignment, &group)) {
        group.machine_count = machine_count(control->service->table, name);
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
