/* Machines. A change is checked whole on a copy of the record, which is also the answer
 * of a dry run; then it is made, and answered when it is on stable storage. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/fault.h"
#include "provisioning/machines/filter.h"
#include "provisioning/pxe/control_internal.h"

/* ---- provision.machines: a stream that goes on where the last machine was ---- */

struct list {
    struct provision_control *control;
    struct ray_rpc_call *call;
    Rayos__Provision__MachinesRequest *request;
    uint32_t outcomes;
    bool has_last;
    struct provision_mac last;
    size_t sent_count;
};

static void free_list(void *arg)
{
    struct list *list = arg;

    if (list != NULL) {
        rayos__provision__machines_request__free_unpacked(list->request, NULL);
        free(list);
    }
}

/* Machines come and go while the reader reads; those after the last one that was sent. */
static size_t next_index(const struct list *list)
{
    const struct provision_table *table = list->control->service->table;
    size_t low = 0;
    size_t high = provision_table_count(table);

    while (list->has_last && low < high) {
        size_t middle = low + (high - low) / 2;

        if (memcmp(&provision_table_at(table, middle)->mac, &list->last, sizeof(list->last)) <= 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static int send_machine(const struct list *list, const struct provision_record *record)
{
    Rayos__Provision__Machine *machine;
    struct ray_arena arena;
    int rc = RAY_ENOMEM;

    ray_arena_init(&arena, CONTROL_ARENA_SIZE_MAX);
    machine = control_encode_machine(list->control, &arena, record, false);
    if (machine != NULL) {
        rc = ray_rpc_send(list->call, &machine->base);
    }
    ray_arena_fini(&arena);
    return rc;
}

static void send_rest(void *arg)
{
    struct list *list = arg;
    const struct provision_table *table = list->control->service->table;
    const struct provision_filter filter = {
        .group = list->request->group[0] != '\0' ? list->request->group : NULL,
        .text = list->request->text[0] != '\0' ? list->request->text : NULL,
        .outcomes = list->outcomes,
        .only_unknown = list->request->only_unknown,
    };

    for (size_t i = next_index(list); i < provision_table_count(table); i++) {
        const struct provision_record *record = provision_table_at(table, i);
        int rc = provision_filter_match(&filter, record) ? send_machine(list, record) : RAY_OK;

        if (rc == RAY_EAGAIN || rc == RAY_ECLOSED) {
            return; /* on_drain or on_cancel follows */
        }
        if (rc != RAY_OK) {
            struct ray_rpc_call *call = list->call;

            free_list(list);
            control_fail_memory(call);
            return;
        }
        list->has_last = true;
        list->last = record->mac;
    }
    control_done(list->call, "");
    free_list(list);
}

static struct list *make_list(const Rayos__Provision__MachinesRequest *request)
{
    struct list *list = ray_fault(RAY_FAULT_ALLOC) != 0 ? NULL : calloc(1, sizeof(*list));
    uint8_t *packed = NULL;
    size_t size = rayos__provision__machines_request__get_packed_size(request);

    if (list != NULL) {
        packed = malloc(size + 1);
    }
    if (packed != NULL) {
        (void)rayos__provision__machines_request__pack(request, packed);
        list->request = rayos__provision__machines_request__unpack(NULL, size, packed);
    }
    free(packed);
    if (list != NULL && list->request == NULL) {
        free(list);
        return NULL;
    }
    return list;
}

void control_machines(struct ray_rpc_call *call, const ProtobufCMessage *input, void *arg)
{
    const Rayos__Provision__MachinesRequest *request =
        (const Rayos__Provision__MachinesRequest *)input;
    enum provision_outcome outcome = PROVISION_OUTCOME_UNKNOWN;
    struct ray_err err = {0};
    struct list *list;

    if (request->outcome[0] != '\0' && provision_outcome_parse(request->outcome, &outcome) != 0) {
        (void)ray_fail(&err, RAY_EINVAL, "no outcome '%s'", request->outcome);
        (void)ray_next(&err, "give unknown, serving, booted, ready or failed");
        control_fail(call, &err);
        return;
    }
    list = make_list(request);
    if (list == NULL) {
        control_fail_memory(call);
        return;
    }
    list->control = arg;
    list->call = call;
    list->outcomes = request->outcome[0] != '\0' ? UINT32_C(1) << outcome : 0;
    ray_rpc_call_on_drain(call, send_rest, list);
    ray_rpc_call_on_cancel(call, free_list, list);
    send_rest(list);
}

/* ---- answers with one machine ---- */

static void reply_machine(struct provision_control *control, struct ray_rpc_call *call,
                          const struct provision_record *record)
{
    Rayos__Provision__Machine *machine;
    struct ray_arena arena;

    ray_arena_init(&arena, CONTROL_ARENA_SIZE_MAX);
    machine = control_encode_machine(control, &arena, record, true);
    if (machine != NULL) {
        (void)ray_rpc_reply(call, &machine->base); /* the caller may have left */
    } else {
        control_fail_memory(call);
    }
    ray_arena_fini(&arena);
}

void control_machine(struct ray_rpc_call *call, const ProtobufCMessage *input, void *arg)
{
    const Rayos__Provision__MachineRequest *request =
        (const Rayos__Provision__MachineRequest *)input;
    const struct provision_record *record = NULL;
    struct ray_err err = {0};

    if (control_resolve(arg, request->machine, &record, &err) != RAY_OK) {
        control_fail(call, &err);
        return;
    }
    reply_machine(arg, call, record);
}

/* ---- changes ---- */

/* The record that a request means: a known machine, or a MAC that was never seen. */
static int find_or_begin(struct provision_control *control, const char *text,
                         struct provision_record *out, struct ray_err *err)
{
    const struct provision_time now = provision_time_now();
    const struct provision_record *known = NULL;
    struct provision_mac mac;
    int rc = control_resolve(control, text, &known, err);

    if (rc == RAY_OK) {
        *out = *known;
    } else if (rc == RAY_ENOTFOUND && provision_mac_parse(text, &mac) == RAY_OK) {
        provision_record_init(out, &mac, &now);
        out->first_seen_us = 0;
        out->last_seen_us = 0;
        rc = RAY_OK;
    }
    return rc;
}

static int check_free_name(const struct provision_control *control,
                           const struct provision_record *record, struct ray_err *err)
{
    const struct provision_table *table = control->service->table;

    for (size_t i = 0; i < provision_table_count(table); i++) {
        const struct provision_record *other = provision_table_at(table, i);
        char mac[PROVISION_MAC_TEXT_SIZE];

        if (strcmp(other->name, record->name) == 0 &&
            memcmp(&other->mac, &record->mac, sizeof(other->mac)) != 0) {
            (void)ray_fail(err, RAY_EEXISTS, "machine %s has the name '%s'",
                           provision_mac_format(&other->mac, mac), record->name);
            (void)ray_next(err, "give another name, or take it away there first");
            return RAY_EEXISTS;
        }
    }
    return RAY_OK;
}

static struct control_wishes wishes_of(const Rayos__Provision__MachineSetRequest *request)
{
    return (struct control_wishes){request->boot, request->image, request->arguments};
}

/* `record` becomes what it would be. */
static int plan(struct provision_control *control,
                const Rayos__Provision__MachineSetRequest *request, struct provision_record *record,
                struct ray_err *err)
{
    const struct control_wishes wishes = wishes_of(request);
    int rc = control_check_reason(request->reason, err);

    if (rc == RAY_OK && request->name == NULL && request->group == NULL && !request->retry &&
        !control_wishes_any(&wishes)) {
        (void)ray_fail(err, RAY_EINVAL, "nothing to set for machine '%.64s'", request->machine);
        rc = ray_next(err, "give a name, group, boot, image, arguments or retry");
    }
    if (rc == RAY_OK) {
        rc = find_or_begin(control, request->machine, record, err);
    }
    if (rc == RAY_OK && request->name != NULL) {
        rc = control_put_name(request->name->value, record->name, err);
        rc = rc == RAY_OK && record->name[0] != '\0' ? check_free_name(control, record, err) : rc;
    }
    if (rc == RAY_OK && request->group != NULL) {
        rc = control_put_name(request->group->value, record->group, err);
    }
    if (rc == RAY_OK && control_wishes_any(&wishes)) {
        rc = control_wishes_merge(control, &wishes, &record->assignment, err);
    }
    for (size_t i = 0; rc == RAY_OK && request->retry && i < record->image_count; i++) {
        provision_record_forgive(record, record->images[i].id);
    }
    return rc;
}

/* What was planned; fails only when the table has no room for a new machine, which its first
 * step finds out. */
static int apply(struct provision_control *control,
                 const Rayos__Provision__MachineSetRequest *request,
                 const struct provision_record *planned, struct ray_err *err)
{
    struct provision_table *table = control->service->table;
    const struct provision_time now = provision_time_now();
    const struct control_wishes wishes = wishes_of(request);
    int rc = RAY_OK;

    if (request->name != NULL) {
        rc = provision_table_set_name(table, &planned->mac, planned->name, &now, err);
    }
    if (rc == RAY_OK && request->group != NULL) {
        rc = provision_table_set_group(table, &planned->mac, planned->group, &now, err);
    }
    if (rc == RAY_OK && control_wishes_any(&wishes)) {
        rc = provision_table_assign(table, &planned->mac, &planned->assignment, &now, err);
    }
    if (rc == RAY_OK && request->retry) {
        rc = provision_table_retry(table, &planned->mac, &now, err);
    }
    if (rc == RAY_OK && request->reason[0] != '\0') {
        rc = provision_table_note_reason(table, &planned->mac, request->reason, &now, err);
    }
    return rc;
}

static void answer_machine(struct control_change *change)
{
    const struct provision_record *record =
        provision_table_find(change->control->service->table, &change->mac);
    struct ray_err err = {0};

    if (record == NULL) { /* forgotten while this waited for the disk */
        (void)ray_fail(&err, RAY_ENOTFOUND, "the machine was forgotten meanwhile");
        control_fail(change->call, &err);
        return;
    }
    reply_machine(change->control, change->call, record);
}

void control_machine_set(struct ray_rpc_call *call, const ProtobufCMessage *input, void *arg)
{
    const Rayos__Provision__MachineSetRequest *request =
        (const Rayos__Provision__MachineSetRequest *)input;
    struct provision_control *control = arg;
    struct provision_record planned;
    struct control_change *change;
    struct ray_err err = {0};
    char what[64];

    if (!control_may_change(control, call)) {
        return;
    }
    if (plan(control, request, &planned, &err) != RAY_OK) {
        control_fail(call, &err);
        return;
    }
    if (request->dry_run) {
        reply_machine(control, call, &planned);
        return;
    }
    change = control_change_make(control, call, answer_machine);
    if (change == NULL) {
        control_fail_memory(call);
        return;
    }
    if (apply(control, request, &planned, &err) != RAY_OK) {
        free(change);
        control_fail(call, &err);
        return;
    }
    change->mac = planned.mac;
    memcpy(what, "machine_set mac=", sizeof("machine_set mac="));
    (void)provision_mac_format(&planned.mac, what + strlen(what));
    control_log(control, call, what, request->reason);
    control_change_wait(change);
}

static void answer_done(struct control_change *change)
{
    control_done(change->call, "");
}

void control_machine_forget(struct ray_rpc_call *call, const ProtobufCMessage *input, void *arg)
{
    const Rayos__Provision__MachineRequest *request =
        (const Rayos__Provision__MachineRequest *)input;
    struct provision_control *control = arg;
    const struct provision_record *record = NULL;
    struct control_change *change;
    struct ray_err err = {0};
    char what[64] = "machine_forget mac=";

    if (!control_may_change(control, call)) {
        return;
    }
    if (control_resolve(control, request->machine, &record, &err) != RAY_OK) {
        control_fail(call, &err);
        return;
    }
    change = control_change_make(control, call, answer_done);
    if (change == NULL) {
        control_fail_memory(call);
        return;
    }
    change->mac = record->mac;
    if (provision_table_forget(control->service->table, &change->mac, &err) != RAY_OK) {
        free(change);
        control_fail(call, &err);
        return;
    }
    (void)provision_mac_format(&change->mac, what + strlen(what));
    control_log(control, call, what, "");
    control_change_wait(change);
}
