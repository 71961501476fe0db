/* The control socket. Whoever may connect may look; changes are for root and for the user that the
 * service runs as, which the kernel names. */
#include "provisioning/pxe/control.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/notify.h"
#include "base/size.h"
#include "provisioning/pxe/control_internal.h"

#define METHOD(noun, type)                                                                         \
    {"provision." #noun, &rayos__provision__##type##__descriptor, control_##noun}

static void control_status(struct ray_rpc_call *call, const ProtobufCMessage *input, void *arg);

static const struct ray_rpc_method methods[] = {
    METHOD(status, status_request),
    METHOD(check, check_request),
    METHOD(machines, machines_request),
    METHOD(machine, machine_request),
    METHOD(machine_set, machine_set_request),
    METHOD(machine_forget, machine_request),
    METHOD(watch, watch_request),
    METHOD(groups, groups_request),
    METHOD(group_set, group_set_request),
    METHOD(images, images_request),
    METHOD(image_add, image_add_request),
    METHOD(image_remove, image_remove_request),
    METHOD(image_gc, image_gc_request),
    {0},
};

/* ---- answers ---- */

void control_fail(struct ray_rpc_call *call, const struct ray_err *err)
{
    (void)ray_rpc_reply_err(call, err); /* the caller may have left */
}

void control_fail_memory(struct ray_rpc_call *call)
{
    struct ray_err err = {0};

    (void)ray_fail(&err, RAY_ENOMEM, "no memory for the answer");
    control_fail(call, &err);
}

void control_done(struct ray_rpc_call *call, const char *text)
{
    Rayos__Provision__Done done = RAYOS__PROVISION__DONE__INIT;

    done.text = control_text(text);
    (void)ray_rpc_reply(call, &done.base); /* the caller may have left */
}

bool control_may_change(struct provision_control *control, struct ray_rpc_call *call)
{
    uid_t uid = ray_rpc_call_peer(call)->uid;
    struct ray_err err = {0};

    if (uid == 0 || uid == control->own_uid) {
        return true;
    }
    (void)ray_fail(&err, RAY_EDENIED, "user %u may only look; root and user %u may change",
                   (unsigned)uid, (unsigned)control->own_uid);
    (void)ray_next(&err, "run it with sudo");
    control_fail(call, &err);
    return false;
}

int control_check_reason(const char *reason, struct ray_err *err)
{
    size_t length = strlen(reason);

    if (length > CONTROL_REASON_SIZE_MAX) {
        return ray_fail(err, RAY_ETOOBIG, "the reason has %zu bytes, at most %d are kept", length,
                        CONTROL_REASON_SIZE_MAX);
    }
    return RAY_OK;
}

void control_log(struct provision_control *control, const struct ray_rpc_call *call,
                 const char *what, const char *reason)
{
    const struct ray_rpc_peer *peer = ray_rpc_call_peer(call);
    char escaped[CONTROL_REASON_SIZE_MAX * 4 + 1];

    (void)ray_escape(escaped, sizeof(escaped), reason, strlen(reason));
    ray_log(control->service->config.logger, RAY_LOG_NOTICE, "control",
            "%s uid=%u pid=%d reason=\"%s\"", what, (unsigned)peer->uid, (int)peer->pid, escaped);
}

int control_find_image(struct provision_control *control, const char *text,
                       struct provision_store_image *out, struct ray_err *err)
{
    int rc = provision_store_find(control->service->store, text, out, err);

    if (rc == RAY_ENOTFOUND) {
        return ray_next(err, "run 'clusterctl image-release list', or add it first");
    }
    return rc == RAY_OK ? RAY_OK : ray_next(err, "give more digits of the id");
}

/* ---- provision.status ---- */

static const char *newest_version(struct provision_service *service, size_t *out_count)
{
    const struct provision_store_image *images = NULL;

    *out_count = provision_store_list(service->store, &images);
    for (size_t i = 0; i < *out_count; i++) {
        if (images[i].state != PROVISION_STORE_DAMAGED) {
            return images[i].manifest.version; /* valid until the loop's next turn */
        }
    }
    return "";
}

static void judge(const struct provision_service *service, Rayos__Provision__Status *status)
{
    status->state = control_text("ok");
    if (provision_mode_has_dnsmasq(service->config.config->mode) && !status->dnsmasq_running) {
        status->state = control_text("degraded");
        status->reason = control_text("dnsmasq does not serve: no machine gets DHCP or TFTP");
        status->next = control_text("look into the log of rayos-provision for its last words");
    } else if (status->newest_image[0] == '\0') {
        status->state = control_text("degraded");
        status->reason = control_text("there is no image that could be served");
        status->next = control_text("run 'clusterctl image-release add FOLDER'");
    }
}

static void describe_network(const struct provision_config *config, char address[static 24],
                             char address6[static PROVISION_PEER_TEXT_SIZE + 4])
{
    char ip[PROVISION_PEER_TEXT_SIZE];

    (void)snprintf(address, 24, "%s/%u", provision_ip_format(config->address, ip),
                   config->prefix_size);
    address6[0] = '\0';
    if (config->prefix6_size != 0) {
        (void)snprintf(address6, PROVISION_PEER_TEXT_SIZE + 4, "%s/%u",
                       provision_ip6_format(&config->address6, ip), config->prefix6_size);
    }
}

static void add_http_stats(const struct provision_service *service, Rayos__Provision__Status *out)
{
    const struct ray_http_server *servers[] = {service->http, service->http6};

    for (size_t i = 0; i < RAY_ARRAY_COUNT(servers); i++) {
        struct ray_http_stats stats;

        if (servers[i] != NULL) {
            ray_http_server_stats(servers[i], &stats);
            out->transfer_count += (uint32_t)stats.transfer_count;
        }
    }
}

static void control_status(struct ray_rpc_call *call, const ProtobufCMessage *input, void *arg)
{
    struct provision_service *service = ((struct provision_control *)arg)->service;
    const struct provision_config *config = service->config.config;
    Rayos__Provision__Status status = RAYOS__PROVISION__STATUS__INIT;
    Rayos__Provision__OutcomeCount counts[PROVISION_OUTCOME_COUNT];
    Rayos__Provision__OutcomeCount *count_table[PROVISION_OUTCOME_COUNT];
    struct provision_table_stats table;
    char address6[PROVISION_PEER_TEXT_SIZE + 4];
    char address[24];
    size_t image_count;

    (void)input;
    provision_table_stats(service->table, &table);
    describe_network(config, address, address6);
    for (size_t i = 0; i < PROVISION_OUTCOME_COUNT; i++) {
        rayos__provision__outcome_count__init(&counts[i]);
        counts[i].outcome = control_text(provision_outcome_word((enum provision_outcome)i));
        counts[i].count = (uint32_t)table.outcome_counts[i];
        count_table[i] = &counts[i];
    }
    status.outcomes = count_table;
    status.n_outcomes = PROVISION_OUTCOME_COUNT;
    status.version = control_text(RAY_VERSION);
    status.mode = control_text(provision_mode_word(config->mode));
    status.interface = control_text(config->interface);
    status.address = address;
    status.address6 = address6;
    status.http_port = config->http_port;
    status.dnsmasq_running =
        service->dnsmasq != NULL && provision_dnsmasq_is_serving(service->dnsmasq);
    status.uptime_us = provision_time_now().mono_us - service->start_mono_us;
    status.machine_count = (uint32_t)table.machine_count;
    status.newest_image = control_text(newest_version(service, &image_count));
    status.image_count = (uint32_t)image_count;
    status.lost_event_count = service->counters.lost_events;
    status.sent_bytes = service->counters.sent_bytes;
    add_http_stats(service, &status);
    judge(service, &status);
    (void)ray_rpc_reply(call, &status.base); /* the caller may have left */
}

/* ---- provision.watch ---- */

struct control_watch {
    struct control_watch *next;
    struct provision_control *control;
    struct ray_rpc_call *call;
    bool is_of_one;
    struct provision_mac mac;
    uint64_t lost_count; /* since the reader fell behind */
};

static void end_watch(void *arg)
{
    struct control_watch *watch = arg;
    struct provision_control *control = watch->control;
    struct control_watch **at = &control->watches;

    while (*at != watch) {
        assert(*at != NULL);
        at = &(*at)->next;
    }
    *at = watch->next;
    control->watch_count--;
    free(watch);
}

/* RAY_EAGAIN: the reader is slow, nothing was queued. Its next event after that says how many it
 * has missed. */
static int send_event(const struct control_watch *watch, const char *mac, const char *name,
                      const char *outcome, Rayos__Provision__TimelineEvent *event)
{
    Rayos__Provision__MachineEvent item = RAYOS__PROVISION__MACHINE_EVENT__INIT;

    item.mac = control_text(mac);
    item.name = control_text(name);
    item.outcome = control_text(outcome);
    item.event = event;
    return ray_rpc_send(watch->call, &item.base);
}

static void say_lost(struct control_watch *watch)
{
    Rayos__Provision__TimelineEvent event = RAYOS__PROVISION__TIMELINE_EVENT__INIT;
    char detail[64];

    if (watch->lost_count == 0) {
        return;
    }
    (void)snprintf(detail, sizeof(detail), "%llu events were dropped: the reader is slow",
                   (unsigned long long)watch->lost_count);
    event.at_us = provision_time_now().real_us;
    event.kind = control_text("lost");
    event.detail = detail;
    event.count = (uint32_t)watch->lost_count;
    if (send_event(watch, "", "", "", &event) == RAY_OK) {
        watch->lost_count = 0;
    }
}

static void on_drain(void *arg)
{
    say_lost(arg);
}

void provision_control_event(struct provision_control *control,
                             const struct provision_record *record,
                             const struct provision_record_event *event)
{
    Rayos__Provision__TimelineEvent message;
    char mac[PROVISION_MAC_TEXT_SIZE];

    if (control == NULL || control->watches == NULL) {
        return;
    }
    (void)provision_mac_format(&record->mac, mac);
    control_encode_event(&message, event);
    /* A failed send ends no call from within: on_cancel follows from the loop. */
    for (struct control_watch *watch = control->watches; watch != NULL; watch = watch->next) {
        if (watch->is_of_one && memcmp(&watch->mac, &record->mac, sizeof(watch->mac)) != 0) {
            continue;
        }
        say_lost(watch);
        if (watch->lost_count > 0 ||
            send_event(watch, mac, record->name[0] != '\0' ? record->name : record->node_name,
                       provision_outcome_word(record->outcome), &message) != RAY_OK) {
            watch->lost_count++;
        }
    }
}

void control_watch(struct ray_rpc_call *call, const ProtobufCMessage *input, void *arg)
{
    const Rayos__Provision__WatchRequest *request = (const Rayos__Provision__WatchRequest *)input;
    struct provision_control *control = arg;
    const struct provision_record *record = NULL;
    struct control_watch *watch;
    struct ray_err err = {0};

    if (request->machine[0] != '\0' &&
        control_resolve(control, request->machine, &record, &err) != RAY_OK) {
        control_fail(call, &err);
        return;
    }
    if (control->watch_count == CONTROL_WATCH_COUNT_MAX) {
        (void)ray_fail(&err, RAY_EUNAVAILABLE, "%d watches are open, the most",
                       CONTROL_WATCH_COUNT_MAX);
        (void)ray_next(&err, "end one of them");
        control_fail(call, &err);
        return;
    }
    watch = ray_fault(RAY_FAULT_ALLOC) != 0 ? NULL : calloc(1, sizeof(*watch));
    if (watch == NULL) {
        control_fail_memory(call);
        return;
    }
    watch->control = control;
    watch->call = call;
    if (record != NULL) {
        watch->is_of_one = true;
        watch->mac = record->mac;
    }
    watch->next = control->watches;
    control->watches = watch;
    control->watch_count++;
    ray_rpc_call_on_cancel(call, end_watch, watch);
    ray_rpc_call_on_drain(call, on_drain, watch);
}

/* ---- the socket ---- */

/* An address of a Unix socket is short; a folder deep in a tree is reached by its descriptor. */
static int listen_at(struct provision_control *control, const char *path, struct ray_err *err)
{
    char folder[PROVISION_PATH_SIZE];
    char short_path[sizeof(((struct sockaddr_un *)NULL)->sun_path)];
    const char *slash = strrchr(path, '/');

    if (strlen(path) < sizeof(short_path)) {
        return ray_rpc_server_create_unix(&control->server, control->service->loop, path, 0666,
                                          methods, control, err);
    }
    assert(slash != NULL); /* the configuration wants absolute paths, the state folder has one */
    memcpy(folder, path, (size_t)(slash - path));
    folder[slash - path] = '\0';
    control->dir_fd = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (control->dir_fd < 0) {
        return ray_fail_errno(err, errno, "folder %s", folder);
    }
    if (snprintf(short_path, sizeof(short_path), "/proc/self/fd/%d%s", control->dir_fd, slash) >=
        (int)sizeof(short_path)) {
        return ray_fail(err, RAY_ETOOBIG, "the name of the control socket %s is too long", path);
    }
    return ray_rpc_server_create_unix(&control->server, control->service->loop, short_path, 0666,
                                      methods, control, err);
}

static int open_socket(struct provision_control *control, struct ray_err *err)
{
    const struct provision_service *service = control->service;
    const char *chosen = service->config.config->control_path;
    char path[PROVISION_PATH_SIZE + 16];
    int fd = ray_notify_kept_fd(PROVISION_CONTROL_SOCKET);

    if (fd >= 0) {
        return ray_rpc_server_create_fd(&control->server, service->loop, fd, methods, control, err);
    }
    (void)snprintf(path, sizeof(path), "%s%s", chosen[0] != '\0' ? chosen : service->state_dir.path,
                   chosen[0] != '\0' ? "" : "/control.sock"); /* fits */
    return listen_at(control, path, err);
}

int provision_control_start(struct provision_service *service, struct ray_err *err)
{
    struct provision_control *control =
        ray_fault(RAY_FAULT_ALLOC) != 0 ? NULL : calloc(1, sizeof(*control));
    int rc;

    if (control == NULL) {
        return ray_fail(err, RAY_ENOMEM, "no memory for the control socket");
    }
    control->service = service;
    control->dir_fd = -1;
    control->own_uid = geteuid();
    rc = open_socket(control, err);
    if (rc != RAY_OK) {
        provision_control_destroy(control);
        return ray_wrap(err, rc, "control socket");
    }
    service->control = control;
    return RAY_OK;
}

void provision_control_destroy(struct provision_control *control)
{
    if (control == NULL) {
        return;
    }
    control_check_abandon(control);
    ray_rpc_server_destroy(control->server); /* ends the watches */
    assert(control->watches == NULL);
    if (control->dir_fd >= 0) {
        (void)close(control->dir_fd);
    }
    free(control);
}
