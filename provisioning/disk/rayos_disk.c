/* rayos-disk - the disks of a node, for its PID 1: what they are, and one made RAYOS_DATA.
 *
 * PID 1 waits for no disk and parses nothing of what is on one, so it starts this program, as root,
 * for each order. Its answer is one rayos.init.DiskReport on the standard output; its exit status
 * says only whether there is one. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/arena.h"
#include "base/args.h"
#include "base/atomic_file.h"
#include "base/size.h"
#include "net/proto/init.pb-c.h"
#include "provisioning/disk/block.h"
#include "provisioning/disk/disk_api.h"

enum {
    DISK_COUNT_MAX = 64,
    NAME_SIZE = 32,
    PATH_SIZE = 160,
    UEVENT_SIZE = 1024,
    REPORT_SIZE_MAX = 60000,
    ARENA_SIZE_MAX = 256 << 10,
};

static const char sys_block[] = "/sys/block";
static const char sys_class[] = "/sys/class/block"; /* partitions, too */

/* ---- sysfs ---- */

/* Of a disk as the kernel names them: what it is made a path of. */
static bool is_name(const char *name)
{
    size_t size = strlen(name);

    return size > 0 && size < NAME_SIZE &&
           strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789") == size;
}

static bool exists(const char *disk, const char *entry)
{
    char path[PATH_SIZE];

    (void)snprintf(path, sizeof(path), "%s/%.32s/%.64s", sys_block, disk, entry);
    return access(path, F_OK) == 0;
}

/* loop, ram and dm have no device behind them. */
static bool is_disk(const char *name)
{
    return is_name(name) && exists(name, "device");
}

/* By the kernel's name of the partition. */
static bool has_data_label(const char *partition)
{
    static const char line[] = "PARTNAME=" PROVISION_DISK_DATA_NAME "\n";
    char path[PATH_SIZE];
    char text[UEVENT_SIZE];
    const char *at;
    size_t size;

    (void)snprintf(path, sizeof(path), "%s/%.32s/uevent", sys_class, partition);
    if (ray_file_read_text(AT_FDCWD, path, text, sizeof(text) - 1, NULL) != RAY_OK) {
        return false;
    }
    size = strlen(text);
    memcpy(text + size, "\n", 2); /* the last line may have lost its own */
    at = strstr(text, line);
    return at != NULL && (at == text || at[-1] == '\n');
}

/* Its partition RAYOS_DATA; "": it has none. */
static void find_data(const char *disk, char out[static NAME_SIZE])
{
    char path[PATH_SIZE];
    const struct dirent *entry;
    DIR *dir;

    out[0] = '\0';
    (void)snprintf(path, sizeof(path), "%s/%.32s", sys_block, disk);
    dir = opendir(path);
    while (dir != NULL && out[0] == '\0' && (entry = readdir(dir)) != NULL) {
        if (strncmp(entry->d_name, disk, strlen(disk)) == 0 && is_name(entry->d_name) &&
            has_data_label(entry->d_name)) {
            (void)snprintf(out, NAME_SIZE, "%.31s", entry->d_name);
        }
    }
    if (dir != NULL) {
        (void)closedir(dir); /* only read */
    }
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(a, b);
}

static size_t list_names(char names[static DISK_COUNT_MAX][NAME_SIZE])
{
    const struct dirent *entry;
    DIR *dir = opendir(sys_block);
    size_t count = 0;

    while (dir != NULL && count < DISK_COUNT_MAX && (entry = readdir(dir)) != NULL) {
        if (is_disk(entry->d_name)) {
            (void)snprintf(names[count++], NAME_SIZE, "%.31s", entry->d_name);
        }
    }
    if (dir != NULL) {
        (void)closedir(dir); /* only read */
    }
    qsort(names, count, NAME_SIZE, compare_names);
    return count;
}

/* ---- the report ---- */

static int print_report(const Rayos__Init__DiskReport *report)
{
    uint8_t *bytes = malloc(REPORT_SIZE_MAX);
    size_t size = rayos__init__disk_report__get_packed_size(report);
    bool is_told = bytes != NULL && size <= REPORT_SIZE_MAX;

    if (is_told) {
        (void)rayos__init__disk_report__pack(report, bytes);
        is_told = fwrite(bytes, 1, size, stdout) == size && fflush(stdout) == 0;
    }
    free(bytes);
    return is_told ? 0 : 1;
}

static int report_error(const struct ray_err *err)
{
    Rayos__Init__DiskReport report = RAYOS__INIT__DISK_REPORT__INIT;

    report.code = err->code;
    report.text = (char *)(uintptr_t)err->text;
    report.next_step = (char *)(uintptr_t)err->next_step;
    return print_report(&report);
}

static char *copy(struct ray_arena *arena, const char *text)
{
    return ray_arena_strndup(arena, text, strlen(text));
}

/* ---- list ---- */

static Rayos__Init__Disk *describe(struct ray_arena *arena, const char *name)
{
    Rayos__Init__Disk *disk = ray_arena_alloc(arena, sizeof(*disk));
    struct provision_disk_plan plan = {.is_new = false};
    struct ray_err err = {0};
    char path[PATH_SIZE];
    char data[NAME_SIZE];

    if (disk == NULL) {
        return NULL;
    }
    (void)snprintf(path, sizeof(path), "/dev/%.32s", name);
    find_data(name, data);
    rayos__init__disk__init(disk);
    disk->trouble = copy(arena, provision_disk_look(path, &plan, &err) == RAY_OK ? "" : err.text);
    disk->name = copy(arena, name);
    disk->model = copy(arena, plan.model);
    disk->serial = copy(arena, plan.serial);
    disk->has_serial = plan.has_serial;
    disk->size_bytes = plan.size_bytes;
    disk->is_readonly = plan.is_read_only;
    disk->in_use = copy(arena, plan.in_use);
    disk->content = copy(arena, plan.content);
    disk->data = copy(arena, data);
    return disk->trouble != NULL && disk->name != NULL && disk->model != NULL &&
                   disk->serial != NULL && disk->in_use != NULL && disk->content != NULL &&
                   disk->data != NULL
               ? disk
               : NULL;
}

static int run_list(const struct ray_args *args, void *context)
{
    char names[DISK_COUNT_MAX][NAME_SIZE];
    Rayos__Init__DiskReport report = RAYOS__INIT__DISK_REPORT__INIT;
    Rayos__Init__Disks disks = RAYOS__INIT__DISKS__INIT;
    Rayos__Init__Disk *list[DISK_COUNT_MAX];
    struct ray_err err = {0};
    struct ray_arena arena;
    size_t count = list_names(names);
    int status;

    (void)args;
    (void)context;
    ray_arena_init(&arena, ARENA_SIZE_MAX);
    disks.disks = list;
    while (disks.n_disks < count &&
           (list[disks.n_disks] = describe(&arena, names[disks.n_disks])) != NULL) {
        disks.n_disks++;
    }
    report.disks = &disks;
    if (disks.n_disks < count) {
        (void)ray_fail(&err, RAY_ENOMEM, "no memory for %zu disks", count);
    }
    status = err.code != RAY_OK ? report_error(&err) : print_report(&report);
    ray_arena_fini(&arena);
    return status;
}

/* ---- prepare ---- */

/* Two of them, and the next boot would use neither. It counts all that the kernel has, as PID 1
 * does: also on what is no disk here. */
static int check_others(const char *name, struct ray_err *err)
{
    const struct dirent *entry;
    DIR *dir = opendir(sys_class);
    int rc = RAY_OK;

    if (dir == NULL) {
        return ray_fail_errno(err, errno, "%s", sys_class);
    }
    while (rc == RAY_OK && (entry = readdir(dir)) != NULL) {
        if (entry->d_name[0] != '.' && has_data_label(entry->d_name) &&
            !exists(name, entry->d_name)) {
            rc = ray_fail(err, RAY_ECONFLICT, "%.32s is %s already, and there can be only one",
                          entry->d_name, PROVISION_DISK_DATA_NAME);
            (void)ray_next(err, "take that disk out of the machine first");
        }
    }
    (void)closedir(dir); /* only read */
    return rc;
}

/* false: it is gone, or nothing is known of it. */
static bool find_word(const char *name, char out[static PROVISION_DISK_TEXT_SIZE])
{
    char path[PATH_SIZE];
    struct block_facts facts;
    struct stat st;

    (void)snprintf(path, sizeof(path), "/dev/%.32s", name);
    if (stat(path, &st) != 0 || block_read("/sys", "/proc", st.st_rdev, &facts, NULL) != RAY_OK) {
        return false;
    }
    (void)block_word(&facts, out);
    return true;
}

/* What is typed has to tell it from each other disk: their names change with each plug. */
static int check_word(const char *name, struct ray_err *err)
{
    char names[DISK_COUNT_MAX][NAME_SIZE];
    char word[PROVISION_DISK_TEXT_SIZE];
    char other[PROVISION_DISK_TEXT_SIZE];
    size_t count = list_names(names);

    if (!find_word(name, word)) {
        return RAY_OK; /* the open says why */
    }
    for (size_t i = 0; i < count; i++) {
        if (strcmp(names[i], name) != 0 && find_word(names[i], other) && strcmp(word, other) == 0) {
            (void)ray_fail(err, RAY_ECONFLICT, "%.32s and %.32s are both confirmed by '%s'", name,
                           names[i], word);
            (void)ray_next(err, "take %.32s out of the machine first", names[i]);
            return RAY_ECONFLICT;
        }
    }
    return RAY_OK;
}

static int prepare(const struct ray_args *args, const char *path, uint64_t *out_size,
                   struct ray_err *err)
{
    const struct provision_disk_request request = {.target = path,
                                                   .serial = ray_args_value(args, "serial"),
                                                   .is_wiped = ray_args_flag(args, "wipe")};
    struct provision_disk *disk = NULL;
    int rc = provision_disk_open(&disk, &request, err);

    if (rc == RAY_OK) {
        *out_size = provision_disk_plan(disk)->data.size_bytes;
        rc = provision_disk_write(disk, err);
    }
    provision_disk_close(disk);
    return rc;
}

static int run_prepare(const struct ray_args *args, void *context)
{
    const char *name = args->positionals[0];
    Rayos__Init__DiskReport report = RAYOS__INIT__DISK_REPORT__INIT;
    Rayos__Init__DiskPrepared prepared = RAYOS__INIT__DISK_PREPARED__INIT;
    char path[PATH_SIZE];
    char data[NAME_SIZE];
    struct ray_err err = {0};
    int rc = RAY_OK;

    (void)context;
    if (!is_disk(name)) {
        rc = ray_fail(&err, RAY_ENOTFOUND, "there is no disk '%.32s'", name);
        (void)ray_next(&err, "clusterctl node disk list");
    }
    if (rc == RAY_OK) {
        rc = check_others(name, &err);
    }
    if (rc == RAY_OK) {
        rc = check_word(name, &err);
    }
    (void)snprintf(path, sizeof(path), "/dev/%.32s", name);
    if (rc == RAY_OK) {
        rc = prepare(args, path, &prepared.size_bytes, &err);
    }
    if (rc != RAY_OK) {
        return report_error(&err);
    }
    find_data(name, data);
    prepared.partition = data;
    report.prepared = &prepared;
    return print_report(&report);
}

static const struct ray_args_option list_options[] = {{0}};
static const struct ray_args_option prepare_options[] = {
    {.name = "serial", .value_name = "NUMBER", .help = "the serial number of that disk"},
    {.name = "wipe", .help = "although there is content"},
    {0}};

static const struct ray_args_command commands[] = {
    {.name = "list", .help = "report all disks", .options = list_options, .run = run_list},
    {.name = "prepare",
     .positional = "DISK",
     .positional_min = 1,
     .positional_max = 1,
     .help = "make all of a disk RAYOS_DATA",
     .options = prepare_options,
     .run = run_prepare},
    {0}};

static const struct ray_args_command command = {
    .name = "rayos-disk", .help = "the disks of this node, for its PID 1", .subcommands = commands};

int main(int argc, char **argv)
{
    return ray_args_main(&command, NULL, RAY_VERSION, argc, argv, NULL);
}
