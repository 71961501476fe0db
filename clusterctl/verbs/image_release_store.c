/* image_release_store.c - files are opened here, as the caller, and handed over as descriptors:
 * the service has a user of its own and sees nobody's folders. */
#include "clusterctl/verbs/image_release_store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/size.h"
#include "clusterctl/verbs/provision_call.h"
#include "net/proto/provision.pb-c.h"

static const struct output_column image_columns[] = {
    {"VERSION", "version", OUTPUT_AS_TEXT},
    {"ID", "id", OUTPUT_AS_TEXT},
    {"STATE", "state", OUTPUT_AS_TEXT},
    {"SIZE", "size_bytes", OUTPUT_AS_SIZE},
    {"ADDED", "added_at_us", OUTPUT_AS_TIME},
    {"NEWEST", "is_newest", OUTPUT_AS_TEXT},
    {"USED BY", "assigned_count", OUTPUT_AS_TEXT},
    {"WHY", "why", OUTPUT_AS_TEXT},
    {0},
};

static const char *const file_names[] = {"manifest.json", "rayos.efi", "vmlinuz", "initrd"};

enum { FILE_COUNT = RAY_ARRAY_COUNT(file_names), OPTIONAL_FIRST = 2 };

static void close_all(int fds[static FILE_COUNT])
{
    for (size_t i = 0; i < FILE_COUNT; i++) {
        if (fds[i] >= 0) {
            (void)close(fds[i]); /* read only */
        }
    }
}

/* A release may lack kernel and initramfs: then it boots UEFI machines only. */
static bool may_be_missing(size_t index)
{
    return index >= OPTIONAL_FIRST;
}

static int open_all(const char *folder, int fds[static FILE_COUNT], struct ray_err *err)
{
    int dir_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int rc = RAY_OK;

    if (dir_fd < 0) {
        return ray_fail_errno(err, errno, "folder '%s'", folder);
    }
    for (size_t i = 0; rc == RAY_OK && i < FILE_COUNT; i++) {
        fds[i] = openat(dir_fd, file_names[i], O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        if (fds[i] < 0 && (errno != ENOENT || !may_be_missing(i))) {
            rc = ray_fail_errno(err, errno, "'%s/%s'", folder, file_names[i]);
            (void)ray_next(err, "give a folder as 'make image' leaves it: build/image");
        }
    }
    (void)close(dir_fd); /* read only */
    return rc;
}

static int run_add(const struct ray_args *args, void *context)
{
    Rayos__Provision__ImageAddRequest request = RAYOS__PROVISION__IMAGE_ADD_REQUEST__INIT;
    int fds[FILE_COUNT] = {-1, -1, -1, -1};
    char *names[FILE_COUNT];
    int given[FILE_COUNT];
    const char *reason = ray_args_value(args, "reason");
    struct ray_err err = {0};
    int status;

    (void)context;
    if (open_all(args->positionals[0], fds, &err) != RAY_OK) {
        close_all(fds);
        return output_error(&err);
    }
    for (size_t i = 0; i < FILE_COUNT; i++) {
        if (fds[i] >= 0) {
            names[request.n_names] = (char *)(uintptr_t)file_names[i];
            given[request.n_names++] = fds[i];
        }
    }
    request.names = names;
    request.reason = reason != NULL ? (char *)reason : request.reason;
    status = provision_print_reply(
        args,
        &(const struct provision_call){.method = "provision.image_add",
                                       .request = &request.base,
                                       .fds = given,
                                       .fd_count = request.n_names,
                                       .reply = &rayos__provision__image__descriptor},
        &(const struct output_view){.name_key = "id"});
    close_all(fds);
    return status;
}

static int run_list(const struct ray_args *args, void *context)
{
    static const struct output_view view = {
        .list_key = "images", .name_key = "id", .columns = image_columns};
    Rayos__Provision__ImagesRequest request = RAYOS__PROVISION__IMAGES_REQUEST__INIT;

    (void)context;
    return provision_print_reply(
        args,
        &(const struct provision_call){.method = "provision.images",
                                       .request = &request.base,
                                       .reply = &rayos__provision__images__descriptor},
        &view);
}

static int run_remove(const struct ray_args *args, void *context)
{
    Rayos__Provision__ImageRemoveRequest request = RAYOS__PROVISION__IMAGE_REMOVE_REQUEST__INIT;
    const char *reason = ray_args_value(args, "reason");
    ProtobufCMessage *reply = NULL;
    struct ray_err err = {0};

    (void)context;
    request.image = (char *)args->positionals[0];
    request.force = ray_args_flag(args, "force");
    request.dry_run = ray_args_flag(args, "dry-run");
    request.reason = reason != NULL ? (char *)reason : request.reason;
    if (provision_call(args,
                       &(const struct provision_call){.method = "provision.image_remove",
                                                      .request = &request.base,
                                                      .reply = &rayos__provision__done__descriptor},
                       &reply, &err) != RAY_OK) {
        return output_error(&err);
    }
    (void)printf("%s\n", ((const Rayos__Provision__Done *)reply)->text);
    protobuf_c_message_free_unpacked(reply, NULL);
    return 0;
}

static int run_gc(const struct ray_args *args, void *context)
{
    static const struct output_view view = {
        .list_key = "removed", .name_key = "id", .columns = image_columns};
    Rayos__Provision__ImageGcRequest request = RAYOS__PROVISION__IMAGE_GC_REQUEST__INIT;

    (void)context;
    request.dry_run = ray_args_flag(args, "dry-run");
    return provision_print_reply(
        args,
        &(const struct provision_call){.method = "provision.image_gc",
                                       .request = &request.base,
                                       .reply = &rayos__provision__image_gc_report__descriptor},
        &view);
}

static const struct ray_args_option add_options[] = {
    PROVISION_REASON_OPTION, OUTPUT_OPTION, PROVISION_SOCKET_OPTION, PROVISION_TIMEOUT_OPTION, {0}};

static const struct ray_args_option list_options[] = {
    OUTPUT_OPTION, PROVISION_SOCKET_OPTION, PROVISION_TIMEOUT_OPTION, {0}};

static const struct ray_args_option remove_options[] = {
    {.name = "force", .help = "also when it is assigned or was served lately"},
    PROVISION_REASON_OPTION,
    PROVISION_DRY_RUN_OPTION,
    PROVISION_SOCKET_OPTION,
    PROVISION_TIMEOUT_OPTION,
    {0}};

static const struct ray_args_option gc_options[] = {PROVISION_DRY_RUN_OPTION,
                                                    OUTPUT_OPTION,
                                                    PROVISION_SOCKET_OPTION,
                                                    PROVISION_TIMEOUT_OPTION,
                                                    {0}};

const struct ray_args_command image_release_add_command = {
    .name = "add",
    .positional = "FOLDER",
    .positional_min = 1,
    .positional_max = 1,
    .help = "give rayos-provision an image, as make image leaves it",
    .options = add_options,
    .run = run_add};

const struct ray_args_command image_release_list_command = {
    .name = "list",
    .help = "the images that rayos-provision has",
    .options = list_options,
    .run = run_list};

const struct ray_args_command image_release_remove_command = {
    .name = "remove",
    .positional = "IMAGE",
    .positional_min = 1,
    .positional_max = 1,
    .help = "take an image away; by id, its beginning or version",
    .options = remove_options,
    .run = run_remove};

const struct ray_args_command image_release_gc_command = {
    .name = "gc",
    .help = "remove images that nothing needs: the newest three and those in use stay",
    .options = gc_options,
    .run = run_gc};
