/* Machines that boot: their scripts, and the files of an image. A request goes this way:
 *
 *   decide (which image) -> verify (the store hashes what was not hashed yet) -> answer -> done
 *
 * When the file of a decision is not what its manifest says, the store knows it for damaged
 * from then on, and the next decision is another one: at most as often as there are images. When
 * it is the same one again, something else is wrong (descriptors, memory), and iPXE retries.
 * What was decided is remembered in the request until it is done, because only a script that
 * was sent whole is a try to boot.
 *
 * Error texts are for the person at the machine's console: iPXE shows the status, the log has
 * the rest. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fault.h"
#include "provisioning/pxe/service_internal.h"

#define IMAGE_PREFIX "/image/"
#define NO_STORE "Cache-Control: no-store\r\n"

enum kind { SCRIPT, UKI_FOR_PEER, IMAGE_FILE };

/* A request of a machine, from its arrival until on_done. */
struct boot {
    struct provision_store_wait wait;
    struct provision_service *service;
    struct ray_http_request *request;
    enum kind kind;
    bool has_mac;
    bool is_transfer; /* the file is being sent */
    struct provision_machine machine;
    struct provision_decision decision; /* of SCRIPT and UKI_FOR_PEER; its image is: */
    struct provision_candidate image;
    enum provision_file file; /* that is being verified or sent */
    char version[PROVISION_VERSION_SIZE];
};

static struct boot *boot_create(struct provision_service *service, struct ray_http_request *request,
                                enum kind kind)
{
    struct boot *boot = ray_fault(RAY_FAULT_ALLOC) != 0 ? NULL : calloc(1, sizeof(*boot));

    if (boot == NULL) {
        provision_http_text(request, 503, "out of memory\n");
        return NULL;
    }
    boot->service = service;
    boot->request = request;
    boot->kind = kind;
    boot->wait.arg = boot;
    ray_http_request_set_data(request, boot);
    return boot;
}

static const char *peer_of(const struct boot *boot)
{
    return ray_http_request_peer(boot->request);
}

static void emit(struct boot *boot, struct provision_event *event)
{
    (void)snprintf(event->ip, sizeof(event->ip), "%s", peer_of(boot));
    if (boot->has_mac) {
        (void)provision_mac_format(&boot->machine.mac, event->mac);
    }
    provision_emit(boot->service, event, NULL);
}

/* ---- scripts ---- */

static int make_script(struct boot *boot, const struct provision_manifest *manifest,
                       struct ray_buf *out, struct ray_err *err)
{
    const struct provision_server_address server = provision_server_address(boot->service);

    switch (boot->decision.action) {
    case PROVISION_ACTION_BOOT: {
        const struct provision_script_image image = {.id = boot->image.image.id,
                                                     .version = manifest->version,
                                                     .command_line = manifest->command_line,
                                                     .arguments = boot->decision.arguments};
        return provision_script_boot(out, &server, &boot->machine, &image, err);
    }
    case PROVISION_ACTION_LOCAL_DISK:
        return provision_script_local_disk(out, boot->machine.arch->path, err);
    case PROVISION_ACTION_HOLD:
        return provision_script_hold(out, &server, boot->decision.reason, err);
    case PROVISION_ACTION_REFUSE:
        break;
    }
    return provision_script_refusal(out, boot->decision.reason, err);
}

static void emit_script(struct boot *boot)
{
    struct provision_event event = {.kind = boot->decision.action == PROVISION_ACTION_REFUSE
                                                ? PROVISION_EVENT_REFUSED
                                                : PROVISION_EVENT_SCRIPT};

    if (boot->decision.action == PROVISION_ACTION_BOOT) {
        (void)snprintf(event.detail, sizeof(event.detail), "image %.60s uuid %s: %.110s",
                       boot->version,
                       boot->machine.facts.uuid[0] != '\0' ? boot->machine.facts.uuid : "none",
                       boot->decision.reason);
    } else {
        (void)snprintf(event.detail, sizeof(event.detail), "%s: %s",
                       provision_action_word(boot->decision.action), boot->decision.reason);
    }
    emit(boot, &event);
}

static void send_script(struct boot *boot, const struct provision_manifest *manifest)
{
    struct ray_err err = {0};
    struct ray_buf script;

    ray_buf_init(&script, PROVISION_SCRIPT_SIZE_MAX);
    if (make_script(boot, manifest, &script, &err) == RAY_OK) {
        emit_script(boot);
        ray_http_answer(boot->request, 200, "text/plain; charset=utf-8", script.data, script.size,
                        NO_STORE);
    } else {
        provision_emit_text(boot->service, PROVISION_EVENT_ERROR, peer_of(boot), "%s", err.text);
        provision_http_text(boot->request, 503, "the script cannot be made\n");
    }
    ray_buf_fini(&script);
}

/* ---- files ---- */

/* The firmware starts the UKI with the command line inside it. */
static void note_ignored_arguments(struct boot *boot)
{
    struct provision_event event = {.kind = PROVISION_EVENT_IGNORED};

    if (boot->decision.arguments[0] != '\0') {
        (void)snprintf(event.detail, sizeof(event.detail),
                       "UEFI HTTP boot cannot give kernel arguments: %.180s",
                       boot->decision.arguments);
        emit(boot, &event);
    }
}

static void note_transfer_start(struct boot *boot)
{
    const struct provision_time now = provision_time_now();
    struct provision_service *service = boot->service;

    provision_emit_text(service, PROVISION_EVENT_HTTP_START, peer_of(boot), "%s %s",
                        provision_file_name(boot->file), boot->version);
    boot->is_transfer = true;
    if (!boot->has_mac) {
        return;
    }
    if (boot->kind == UKI_FOR_PEER) {
        (void)provision_table_served(service->table, &boot->machine.mac, &boot->decision,
                                     PROVISION_RECORD_EVENT_IMAGE_START, &now);
        note_ignored_arguments(boot);
    } else if (boot->file != PROVISION_FILE_INITRD) { /* the second half of what a BIOS gets */
        (void)provision_table_image_start(service->table, &boot->machine.mac, &now);
    }
}

static void send_file(struct boot *boot, const struct provision_store_view *view)
{
    const struct provision_manifest_file *file = &view->manifest->files[view->file];
    char etag[PROVISION_SHA256_TEXT_SIZE + 2];
    int fd = -1;

    if (ray_fault(RAY_FAULT_OPEN) == 0) {
        fd = fcntl(view->fd, F_DUPFD_CLOEXEC, 3);
    }
    if (fd < 0) {
        provision_http_text(boot->request, 503, "too many open files\n");
        return;
    }
    (void)snprintf(boot->version, sizeof(boot->version), "%s", view->manifest->version);
    if (ray_http_request_method(boot->request) == RAY_HTTP_GET) {
        note_transfer_start(boot);
    }
    (void)snprintf(etag, sizeof(etag), "\"%s\"", file->sha256);
    ray_http_answer_file(
        boot->request, fd, file->size_bytes,
        view->file == PROVISION_FILE_UKI ? "application/efi" : "application/octet-stream", etag);
}

/* ---- from a decision to its answer ---- */

static void decide(struct boot *boot);

/* What UEFI HTTP boot is told when it gets no image: the firmware goes on to its next entry. */
static void refuse_uki(struct boot *boot)
{
    bool is_hold = boot->decision.action == PROVISION_ACTION_HOLD;
    char text[PROVISION_REASON_SIZE + 32];

    (void)snprintf(text, sizeof(text), "%s: %s", provision_action_word(boot->decision.action),
                   boot->decision.reason);
    provision_http_refuse(boot->service, boot->request, is_hold ? 503 : 404, text);
}

static void on_decided_file(void *arg, const struct provision_store_view *view,
                            const struct ray_err *err)
{
    struct boot *boot = arg;
    bool is_bios = boot->machine.arch->path == PROVISION_BOOT_BIOS;

    if (view == NULL && err->code == RAY_ECANCELED) {
        provision_http_text(boot->request, 503, "the image was removed, or the server stops\n");
    } else if (view == NULL) {
        provision_emit_text(boot->service, PROVISION_EVENT_ERROR, peer_of(boot), "not served: %s",
                            err->text);
        decide(boot);
    } else if (boot->kind == UKI_FOR_PEER) {
        send_file(boot, view);
    } else if (is_bios && boot->file == PROVISION_FILE_KERNEL) {
        boot->file = PROVISION_FILE_INITRD;
        provision_store_use(boot->service->store, boot->image.image.id, boot->file, &boot->wait);
    } else {
        (void)snprintf(boot->version, sizeof(boot->version), "%s", view->manifest->version);
        send_script(boot, view->manifest);
    }
}

static void decide(struct boot *boot)
{
    struct provision_service *service = boot->service;

    provision_images_decide(service, boot->has_mac ? &boot->machine.mac : NULL,
                            boot->machine.arch->path, &boot->decision);
    if (boot->decision.action != PROVISION_ACTION_BOOT) {
        if (boot->kind == SCRIPT) {
            send_script(boot, NULL);
        } else {
            refuse_uki(boot);
        }
        return;
    }
    if (strcmp(boot->image.image.id, boot->decision.image->image.id) == 0) {
        provision_http_text(boot->request, 503, "the image cannot be read now\n");
        return;
    }
    boot->image = *boot->decision.image;
    boot->decision.image = &boot->image;
    boot->file = boot->machine.arch->path == PROVISION_BOOT_BIOS ? PROVISION_FILE_KERNEL
                                                                 : PROVISION_FILE_UKI;
    boot->wait.cb = on_decided_file;
    provision_store_use(service->store, boot->image.image.id, boot->file, &boot->wait);
}

/* ---- the routes ---- */

static const char *query(void *arg, const char *name)
{
    return ray_http_request_query(arg, name);
}

void provision_http_script(struct provision_service *service, struct ray_http_request *request)
{
    const struct provision_time now = provision_time_now();
    struct provision_machine machine;
    struct ray_err err = {0};
    struct boot *boot;

    if (provision_machine_parse(query, request, &machine, &err) != RAY_OK) {
        provision_http_refuse(service, request, 400, err.text);
        return;
    }
    boot = boot_create(service, request, SCRIPT);
    if (boot == NULL) {
        return;
    }
    boot->machine = machine;
    boot->has_mac = true;
    (void)provision_table_learn(service->table, &machine.mac, &machine.facts, &now);
    if (machine.arch->path == PROVISION_BOOT_NONE) {
        boot->decision.action = PROVISION_ACTION_REFUSE;
        (void)provision_arch_refusal(machine.arch, boot->decision.reason,
                                     sizeof(boot->decision.reason));
        send_script(boot, NULL);
        return;
    }
    decide(boot);
}

void provision_http_autoexec(struct provision_service *service, struct ray_http_request *request)
{
    const struct provision_server_address server = provision_server_address(service);
    struct ray_buf script;

    ray_buf_init(&script, PROVISION_SCRIPT_SIZE_MAX);
    if (provision_script_autoexec(&script, &server, NULL) == RAY_OK) {
        ray_http_answer(request, 200, "text/plain; charset=utf-8", script.data, script.size,
                        NO_STORE);
    } else {
        provision_http_text(request, 503, "out of memory\n");
    }
    ray_buf_fini(&script);
}

void provision_http_uki(struct provision_service *service, struct ray_http_request *request)
{
    const struct provision_time now = provision_time_now();
    struct boot *boot = boot_create(service, request, UKI_FOR_PEER);

    if (boot == NULL) {
        return;
    }
    boot->machine.arch = provision_arch_find(16, true);
    provision_arch_put(boot->machine.arch, boot->machine.facts.arch,
                       sizeof(boot->machine.facts.arch));
    boot->has_mac = provision_peer_mac(service, ray_http_request_peer(request), &boot->machine.mac);
    if (boot->has_mac) {
        (void)provision_table_learn(service->table, &boot->machine.mac, &boot->machine.facts, &now);
    }
    decide(boot);
}

static void on_named_file(void *arg, const struct provision_store_view *view,
                          const struct ray_err *err)
{
    struct boot *boot = arg;
    char text[RAY_ERR_TEXT_SIZE + 32];

    if (view != NULL) {
        send_file(boot, view);
    } else if (err->code == RAY_ENOTFOUND) {
        provision_http_refuse(boot->service, boot->request, 404,
                              "no such image; its id is in the boot script");
    } else {
        if (err->code != RAY_ECANCELED) {
            provision_emit_text(boot->service, PROVISION_EVENT_ERROR, peer_of(boot),
                                "not served: %s", err->text);
        }
        (void)snprintf(text, sizeof(text), "no verified image: %s\n", err->text);
        provision_http_text(boot->request, 503, text);
    }
}

/* "/image/<id>/<file>" */
static bool parse_path(const char *path, char id[static PROVISION_SHA256_TEXT_SIZE],
                       enum provision_file *file)
{
    const char *at = path + sizeof(IMAGE_PREFIX) - 1;
    size_t size = strcspn(at, "/");

    if (size != PROVISION_SHA256_TEXT_SIZE - 1 || at[size] != '/') {
        return false;
    }
    memcpy(id, at, size);
    id[size] = '\0';
    return provision_is_sha256(id) && provision_file_find(at + size + 1, file);
}

void provision_http_image(struct provision_service *service, struct ray_http_request *request)
{
    char id[PROVISION_SHA256_TEXT_SIZE];
    enum provision_file file;
    struct boot *boot;

    if (!parse_path(ray_http_request_path(request), id, &file)) {
        provision_http_refuse(service, request, 404, "no such image; its id is in the boot script");
        return;
    }
    boot = boot_create(service, request, IMAGE_FILE);
    if (boot == NULL) {
        return;
    }
    boot->has_mac = provision_peer_mac(service, ray_http_request_peer(request), &boot->machine.mac);
    boot->file = file;
    boot->wait.cb = on_named_file;
    provision_store_use(service->store, id, file, &boot->wait);
}

/* ---- done ---- */

static void emit_transfer_end(struct boot *boot, bool is_whole)
{
    const struct ray_http_request *request = boot->request;
    struct provision_event event = {.kind = is_whole ? PROVISION_EVENT_HTTP_DONE
                                                     : PROVISION_EVENT_ERROR,
                                    .has_size = true,
                                    .size_bytes = ray_http_request_sent_size(request)};
    uint64_t ms =
        (ray_http_request_end_ns(request) - ray_http_request_start_ns(request)) / RAY_NS_PER_MS;

    (void)snprintf(event.detail, sizeof(event.detail), "%s%s after %" PRIu64 " ms",
                   provision_file_name(boot->file), is_whole ? "" : " broken off", ms);
    emit(boot, &event);
}

static void end_transfer(struct boot *boot)
{
    const struct provision_time now = provision_time_now();
    struct provision_service *service = boot->service;
    const struct provision_mac *mac = &boot->machine.mac;
    int status = ray_http_request_status(boot->request);
    bool is_whole = ray_http_request_is_complete(boot->request);

    if (status != 200 && status != 206) {
        return; /* the client had it already, or wanted what is not there */
    }
    emit_transfer_end(boot, is_whole);
    service->counters.broken_transfers += !is_whole;
    if (!boot->has_mac) {
        return;
    }
    if (!is_whole) {
        (void)provision_table_image_broken(service->table, mac, "the transfer broke off", &now);
    } else if (boot->file != PROVISION_FILE_KERNEL && status == 200) {
        (void)provision_table_image_done(service->table, mac, &now);
    }
}

void provision_http_boot_done(struct provision_service *service,
                              const struct ray_http_request *request)
{
    const struct provision_time now = provision_time_now();
    struct boot *boot = ray_http_request_data(request);

    if (boot == NULL) {
        return;
    }
    if (boot->is_transfer) {
        end_transfer(boot);
    } else if (boot->kind == SCRIPT && ray_http_request_is_complete(request) &&
               ray_http_request_status(request) == 200 &&
               ray_http_request_method(request) == RAY_HTTP_GET) {
        (void)provision_table_served(service->table, &boot->machine.mac, &boot->decision,
                                     PROVISION_RECORD_EVENT_SCRIPT, &now);
    }
    free(boot);
}
