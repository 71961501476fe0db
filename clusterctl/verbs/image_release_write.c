/* Shows the plan, asks for the serial number of a disk, writes, tells how far it is. All
 * decisions are provisioning/disk's. */
#include "clusterctl/verbs/image_release_write.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/size.h"
#include "clusterctl/cli/output.h"
#include "provisioning/disk/disk_api.h"

enum { SIZE_TEXT_SIZE = 16, TYPED_SIZE = PROVISION_DISK_TEXT_SIZE + 2 };

static const struct ray_args_option write_options[] = {
    {.name = "image",
     .value_name = "FILE",
     .default_value = "build/image/rayos.img",
     .help = "the disk image, made by make image"},
    {.name = "size", .value_name = "SIZE", .help = "size of a file: 8G"},
    {.name = "esp-size",
     .value_name = "SIZE",
     .help = "size of the ESP (1G on disks of 4G and more, else as in the image)"},
    {.name = "wipe", .help = "write although there is content; all of it is lost"},
    {.name = "serial",
     .value_name = "NUMBER",
     .help = "serial number of the disk, instead of typing it when asked"},
    {.name = "dry-run", .help = "say what would happen, change nothing"},
    {0}};

/* --- progress --- */

struct progress {
    bool is_terminal; /* one line that changes, else one line for each step */
    bool has_step;
    enum provision_disk_step step;
    unsigned percent;
};

static void on_progress(void *arg, enum provision_disk_step step, uint64_t done, uint64_t total)
{
    struct progress *progress = arg;
    unsigned percent = total == 0 ? 100 : (unsigned)(done * 100 / total);
    bool is_new = !progress->has_step || progress->step != step;

    if (!is_new && (percent == progress->percent || !progress->is_terminal)) {
        return;
    }
    if (progress->is_terminal) {
        (void)fprintf(stderr, "\r%-28s %3u %%", provision_disk_step_text(step), percent);
    } else {
        (void)fprintf(stderr, "%s\n", provision_disk_step_text(step));
    }
    *progress = (struct progress){progress->is_terminal, true, step, percent};
}

static void end_progress(const struct progress *progress)
{
    if (progress->is_terminal && progress->has_step) {
        (void)fprintf(stderr, "\r%-34s\r", "");
    }
}

/* --- plan --- */

static void print_plan(const struct provision_disk_request *request,
                       const struct provision_disk_plan *plan)
{
    char size[SIZE_TEXT_SIZE];

    (void)printf("%-8s %s, %s%s%s%s\n", plan->is_block_device ? "disk" : "file", request->target,
                 ray_format_size(plan->size_bytes, size), plan->model[0] != '\0' ? ", " : "",
                 plan->model, plan->is_new ? ", new" : "");
    if (plan->is_block_device) {
        (void)printf("%-8s %s\n", "serial", plan->has_serial ? plan->serial : "none");
    }
    if (plan->in_use[0] != '\0') {
        (void)printf("%-8s %s\n", "in use", plan->in_use);
    }
    if (!plan->is_new) {
        (void)printf("%-8s %s\n", "content", plan->content[0] != '\0' ? plan->content : "none");
    }
    (void)printf("%-8s %s\n", "image", request->image);
    (void)printf("%-8s ESP, %s\n", "becomes", ray_format_size(plan->esp.size_bytes, size));
    (void)printf("%-8s %s, %s, XFS\n", "", PROVISION_DISK_DATA_NAME,
                 ray_format_size(plan->data.size_bytes, size));
    (void)fflush(stdout); /* before what goes to stderr */
}

/* --- confirmation --- */

/* Only a person at a terminal is asked; a script gives --serial. */
static bool ask_serial(const struct provision_disk_request *request,
                       const struct provision_disk_plan *plan, char typed[static TYPED_SIZE])
{
    if (isatty(STDIN_FILENO) != 1 || isatty(STDERR_FILENO) != 1) {
        return false;
    }
    (void)fprintf(stderr, "All data on %s will be lost. Type its %s to go on: ", request->target,
                  plan->has_serial ? "serial number" : "size in bytes");
    if (fgets(typed, TYPED_SIZE, stdin) == NULL) {
        (void)fputc('\n', stderr);
        return false;
    }
    typed[strcspn(typed, "\n")] = '\0';
    return true;
}

/* What would be refused is refused before anybody is asked. */
static int confirm(struct provision_disk *disk, const struct provision_disk_request *request,
                   char typed[static TYPED_SIZE], struct ray_err *err)
{
    const struct provision_disk_plan *plan = provision_disk_plan(disk);
    int rc;

    if (!plan->is_block_device || request->serial != NULL) {
        return provision_disk_check(disk, err);
    }
    provision_disk_confirm(disk, plan->serial);
    rc = provision_disk_check(disk, err);
    provision_disk_confirm(disk, NULL);
    if (rc == RAY_OK && ask_serial(request, plan, typed)) {
        provision_disk_confirm(disk, typed);
    }
    return rc == RAY_OK ? provision_disk_check(disk, err) : rc;
}

/* --- the command --- */

static int parse_size(const struct ray_args *args, const char *option, uint64_t *out,
                      struct ray_err *err)
{
    const char *text = ray_args_value(args, option);

    if (text != NULL && (ray_parse_size(text, out) != RAY_OK || *out == 0)) {
        return ray_fail(err, RAY_EUSAGE, "--%s wants a number of bytes with K, M, G or T", option);
    }
    return RAY_OK;
}

static int dry_run(struct provision_disk *disk, const struct provision_disk_request *request,
                   struct ray_err *err)
{
    const struct provision_disk_plan *plan = provision_disk_plan(disk);
    int rc;

    if (plan->is_block_device && request->serial == NULL) {
        provision_disk_confirm(disk, plan->serial);
    }
    rc = provision_disk_check(disk, err);
    if (rc == RAY_OK) {
        (void)printf("nothing was changed (--dry-run)%s\n",
                     plan->is_block_device && request->serial == NULL
                         ? "; the serial number will be asked for"
                         : "");
    }
    return rc;
}

static int write_disk(struct provision_disk *disk, const struct provision_disk_request *request,
                      struct ray_err *err)
{
    char typed[TYPED_SIZE] = "";
    int rc = confirm(disk, request, typed, err);

    if (rc == RAY_OK) {
        rc = provision_disk_write(disk, err);
        end_progress(request->arg);
    }
    if (rc == RAY_OK) {
        (void)printf("written and read back: %s boots RayOS\n", request->target);
    }
    return rc;
}

static int run_write(const struct ray_args *args, void *context)
{
    struct progress progress = {.is_terminal = isatty(STDERR_FILENO) == 1};
    struct provision_disk_request request = {.target = args->positionals[0],
                                             .image = ray_args_value(args, "image"),
                                             .is_wiped = ray_args_flag(args, "wipe"),
                                             .serial = ray_args_value(args, "serial"),
                                             .on_progress = on_progress,
                                             .arg = &progress};
    struct provision_disk *disk = NULL;
    struct ray_err err = {0};
    int rc;

    (void)context;
    rc = parse_size(args, "size", &request.size_bytes, &err);
    if (rc == RAY_OK) {
        rc = parse_size(args, "esp-size", &request.esp_size_bytes, &err);
    }
    if (rc == RAY_OK) {
        rc = provision_disk_open(&disk, &request, &err);
    }
    if (rc == RAY_OK) {
        print_plan(&request, provision_disk_plan(disk));
        rc = ray_args_flag(args, "dry-run") ? dry_run(disk, &request, &err)
                                            : write_disk(disk, &request, &err);
    }
    provision_disk_close(disk);
    return rc == RAY_OK ? 0 : output_error(&err);
}

const struct ray_args_command image_release_write_command = {
    .name = "write",
    .positional = "FILE|DISK",
    .positional_min = 1,
    .positional_max = 1,
    .help = "write the disk image and add RAYOS_DATA in the rest",
    .options = write_options,
    .run = run_write,
};
