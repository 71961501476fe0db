/* crash.c - one state file says how far the last boot came; whatever is not "clean" there is
 * a crash, and its traces are copied into a folder of their own. The folder is filled under
 * a name that begins with ".new-" and renamed when all of it is durable; only then are the
 * pstore records unlinked, so a power cut loses none of them. */
#include "node/init/system/crash.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/watchdog.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <yyjson.h>

#include "base/atomic_file.h"
#include "base/buf.h"
#include "base/size.h"

#define CRASH_DIR "crash"
#define PSTORE_DIR "sys/fs/pstore"
#define NEW_PREFIX ".new-"

enum {
    STATE_SIZE_MAX = 4096,
    PSTORE_RECORD_SIZE_MAX = 1024 * 1024,
    TREE_DEPTH_MAX = 3,
    NAME_SIZE_MAX = 64,
};

const char *init_end_word(enum init_end end)
{
    switch (end) {
    case INIT_END_FIRST_BOOT:
        return "first-boot";
    case INIT_END_CLEAN:
        return "clean";
    case INIT_END_DIRTY:
        return "dirty";
    case INIT_END_WATCHDOG:
        return "watchdog";
    case INIT_END_PANIC:
        return "panic";
    }
    return "unknown";
}

bool init_crash_is_boot_id(const char *text)
{
    for (size_t i = 0; i < INIT_BOOT_ID_SIZE - 1; i++) {
        bool is_dash = i == 8 || i == 13 || i == 18 || i == 23;
        char c = text[i];
        bool is_hex = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');

        if (is_dash ? c != '-' : !is_hex) { /* the terminator is neither */
            return false;
        }
    }
    return text[INIT_BOOT_ID_SIZE - 1] == '\0';
}

/* ---- the state file ---- */

static int write_state(int data_fd, const char *boot_id, const char *state, const char *marker,
                       struct ray_err *err)
{
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = yyjson_mut_obj(doc);
    char *text = NULL;
    size_t size = 0;
    int rc;

    yyjson_mut_doc_set_root(doc, root);
    if (yyjson_mut_obj_add_str(doc, root, "boot_id", boot_id) &&
        yyjson_mut_obj_add_str(doc, root, "state", state) &&
        yyjson_mut_obj_add_str(doc, root, "marker", marker)) {
        text = yyjson_mut_write(doc, 0, &size);
    }
    yyjson_mut_doc_free(doc);
    if (text == NULL) {
        return ray_fail(err, RAY_ENOMEM, "state of this boot");
    }
    rc = ray_atomic_write(data_fd, INIT_CRASH_STATE_FILE, text, size, 0644, err);
    free(text);
    return rc;
}

int init_crash_begin(int data_fd, const char *boot_id, struct ray_err *err)
{
    return write_state(data_fd, boot_id, "running", "", err);
}

int init_crash_mark(int data_fd, const char *boot_id, const char *marker_line, struct ray_err *err)
{
    return write_state(data_fd, boot_id, "running", marker_line, err);
}

int init_crash_end(int data_fd, const char *boot_id, struct ray_err *err)
{
    return write_state(data_fd, boot_id, "clean", "", err);
}

struct previous {
    bool is_known; /* a state file was there and made sense */
    bool is_clean;
};

static void copy_string(yyjson_val *value, char *out, size_t out_size)
{
    size_t size = yyjson_get_len(value);

    if (yyjson_is_str(value) && size < out_size) {
        memcpy(out, yyjson_get_str(value), size);
        out[size] = '\0';
    }
}

/* A torn or foreign file counts as a boot that ended badly, without an id. */
static struct previous read_state(int data_fd, struct init_crash_report *report)
{
    struct previous previous = {0};
    uint8_t *text = NULL;
    size_t size = 0;
    char state[16] = "";
    yyjson_doc *doc;
    int rc = ray_file_read(data_fd, INIT_CRASH_STATE_FILE, STATE_SIZE_MAX, &text, &size, NULL);

    if (rc == RAY_ENOTFOUND) {
        return previous;
    }
    previous.is_known = true;
    doc = rc == RAY_OK ? yyjson_read((const char *)text, size, 0) : NULL;
    if (doc != NULL) {
        yyjson_val *root = yyjson_doc_get_root(doc);
        char marker[RAY_MARKER_LINE_SIZE_MAX] = "";

        copy_string(yyjson_obj_get(root, "boot_id"), report->previous_boot_id,
                    sizeof report->previous_boot_id);
        copy_string(yyjson_obj_get(root, "state"), state, sizeof state);
        copy_string(yyjson_obj_get(root, "marker"), marker, sizeof marker);
        (void)ray_escape(report->last_marker, sizeof report->last_marker, marker,
                         strcspn(marker, "\n"));
    }
    yyjson_doc_free(doc);
    free(text);
    if (!init_crash_is_boot_id(report->previous_boot_id)) {
        report->previous_boot_id[0] = '\0';
    }
    previous.is_clean = strcmp(state, "clean") == 0;
    return previous;
}

/* ---- folders ---- */

/* Removes a folder with what is in it; deeper than we ever make is left alone. */
static void remove_tree(int dir_fd, const char *name, int depth)
{
    int fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    struct dirent *entry;

    if (dir == NULL) {
        if (fd >= 0) {
            (void)close(fd);
        }
        return;
    }
    while ((entry = readdir(dir)) != NULL) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) {
            continue;
        }
        if (unlinkat(fd, entry->d_name, 0) != 0 && depth > 1) {
            remove_tree(fd, entry->d_name, depth - 1);
        }
    }
    (void)closedir(dir);
    (void)unlinkat(dir_fd, name, AT_REMOVEDIR);
}

/* What an interrupted collection has left. */
static void sweep_new(int crash_fd)
{
    int fd = openat(crash_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    struct dirent *entry;

    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        if (strncmp(entry->d_name, NEW_PREFIX, sizeof NEW_PREFIX - 1) == 0) {
            remove_tree(crash_fd, entry->d_name, TREE_DEPTH_MAX);
        }
    }
    if (dir != NULL) {
        (void)closedir(dir);
    } else if (fd >= 0) {
        (void)close(fd);
    }
}

/* Removes the oldest folders above the limit, never `keep`. */
static void prune(int crash_fd, const char *keep)
{
    for (int round = 0; round < INIT_CRASH_FOLDER_COUNT_MAX; round++) {
        int fd = openat(crash_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
        char oldest[INIT_BOOT_ID_SIZE] = "";
        struct timespec oldest_time = {0};
        struct dirent *entry;
        size_t count = 0;

        while (dir != NULL && (entry = readdir(dir)) != NULL) {
            struct stat info;

            if (!init_crash_is_boot_id(entry->d_name) ||
                fstatat(crash_fd, entry->d_name, &info, AT_SYMLINK_NOFOLLOW) != 0) {
                continue;
            }
            count++;
            if (strcmp(entry->d_name, keep) != 0 &&
                (oldest[0] == '\0' || info.st_mtim.tv_sec < oldest_time.tv_sec ||
                 (info.st_mtim.tv_sec == oldest_time.tv_sec &&
                  info.st_mtim.tv_nsec < oldest_time.tv_nsec))) {
                memcpy(oldest, entry->d_name, sizeof oldest);
                oldest_time = info.st_mtim;
            }
        }
        if (dir != NULL) {
            (void)closedir(dir);
        } else if (fd >= 0) {
            (void)close(fd);
        }
        if (count <= INIT_CRASH_FOLDER_COUNT_MAX || oldest[0] == '\0') {
            return;
        }
        remove_tree(crash_fd, oldest, TREE_DEPTH_MAX);
    }
}

/* ---- pstore ---- */

struct records {
    size_t count;
    size_t size;
    bool has_panic;
    char names[INIT_CRASH_PSTORE_COUNT_MAX][NAME_SIZE_MAX];
};

/* The kernel heads each dump with its reason: "Panic#1 Part1". */
static bool is_panic_record(int pstore_fd, const char *name)
{
    int fd = openat(pstore_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    char head[8] = "";
    ssize_t n = fd >= 0 ? read(fd, head, sizeof head - 1) : -1;

    if (fd >= 0) {
        (void)close(fd);
    }
    return n > 0 && (strncmp(head, "Panic#", 6) == 0 || strncmp(head, "Oops#", 5) == 0);
}

/* Names of the records that will be taken; beyond the limits they wait for the next boot. */
static void list_records(int root_fd, struct records *out)
{
    int fd = openat(root_fd, PSTORE_DIR, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    struct dirent *entry;

    while (dir != NULL && out->count < INIT_CRASH_PSTORE_COUNT_MAX &&
           (entry = readdir(dir)) != NULL) {
        struct stat info;

        if (entry->d_name[0] == '.' || strlen(entry->d_name) >= NAME_SIZE_MAX ||
            fstatat(fd, entry->d_name, &info, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(info.st_mode) ||
            info.st_size < 0 || info.st_size > PSTORE_RECORD_SIZE_MAX ||
            (size_t)info.st_size > INIT_CRASH_PSTORE_SIZE_MAX - out->size) {
            continue;
        }
        out->size += (size_t)info.st_size;
        memcpy(out->names[out->count++], entry->d_name, strlen(entry->d_name) + 1);
        out->has_panic = out->has_panic || is_panic_record(fd, entry->d_name);
    }
    if (dir != NULL) {
        (void)closedir(dir);
    } else if (fd >= 0) {
        (void)close(fd);
    }
}

static int copy_file(int from_fd, const char *from_name, int to_fd, const char *to_name,
                     size_t size_max, struct ray_err *err)
{
    uint8_t *bytes = NULL;
    size_t size = 0;
    int rc = ray_file_read(from_fd, from_name, size_max, &bytes, &size, err);

    if (rc == RAY_OK) {
        rc = ray_atomic_write(to_fd, to_name, bytes, size, 0640, err);
    }
    free(bytes);
    return rc;
}

static int copy_records(int root_fd, const struct records *records, int folder_fd,
                        struct ray_err *err)
{
    char from[sizeof PSTORE_DIR + NAME_SIZE_MAX];
    char to[sizeof "pstore/" + NAME_SIZE_MAX];
    int rc = RAY_OK;

    if (records->count > 0) {
        rc = ray_make_dirs(folder_fd, "pstore", 0750, err);
    }
    for (size_t i = 0; rc == RAY_OK && i < records->count; i++) {
        (void)snprintf(from, sizeof from, "%s/%s", PSTORE_DIR, records->names[i]);
        (void)snprintf(to, sizeof to, "pstore/%s", records->names[i]);
        rc = copy_file(root_fd, from, folder_fd, to, PSTORE_RECORD_SIZE_MAX, err);
    }
    return rc;
}

static void unlink_records(int root_fd, const struct records *records, struct ray_logger *logger)
{
    char path[sizeof PSTORE_DIR + NAME_SIZE_MAX];

    for (size_t i = 0; i < records->count; i++) {
        (void)snprintf(path, sizeof path, "%s/%s", PSTORE_DIR, records->names[i]);
        if (unlinkat(root_fd, path, 0) != 0) {
            ray_log(logger, RAY_LOG_WARN, "crash", "pstore record %s stays: %s", records->names[i],
                    strerror(errno));
        }
    }
}

/* ---- the folder of one crash ---- */

/* The last bytes of a file into `tail`, at most what it still takes. */
static void append_tail(int data_fd, const char *name, struct ray_buf *tail)
{
    int fd = openat(data_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    size_t room = tail->size_max - tail->size;
    struct stat info;
    off_t at;

    if (fd < 0) {
        return;
    }
    if (fstat(fd, &info) == 0 && S_ISREG(info.st_mode)) {
        at = info.st_size > (off_t)room ? info.st_size - (off_t)room : 0;
        while (room > 0) {
            uint8_t bytes[16384];
            size_t wanted = room < sizeof bytes ? room : sizeof bytes;
            ssize_t n = pread(fd, bytes, wanted, at);

            if (n <= 0 || ray_buf_append(tail, bytes, (size_t)n) != RAY_OK) {
                break;
            }
            at += n;
            room -= (size_t)n;
        }
    }
    (void)close(fd);
}

/* The end of the log, with the rotated file before it when it was rotated just before. */
static int write_log_tail(const struct init_crash_inputs *inputs, int folder_fd,
                          struct ray_err *err)
{
    struct ray_buf older;
    struct ray_buf newer;
    char rotated[128];
    int rc;

    ray_buf_init(&newer, INIT_CRASH_LOG_TAIL_SIZE_MAX);
    append_tail(inputs->data_fd, inputs->log_name, &newer);
    ray_buf_init(&older, INIT_CRASH_LOG_TAIL_SIZE_MAX - newer.size);
    (void)snprintf(rotated, sizeof rotated, "%s.1", inputs->log_name);
    if (older.size_max > 0) {
        append_tail(inputs->data_fd, rotated, &older);
    }
    older.size_max = INIT_CRASH_LOG_TAIL_SIZE_MAX;
    rc = ray_buf_append(&older, newer.data == NULL ? (const uint8_t *)"" : newer.data, newer.size);
    if (rc == RAY_OK) {
        rc = ray_atomic_write(folder_fd, "log_tail", ray_buf_text(&older), older.size, 0640, err);
    } else {
        (void)ray_fail(err, rc, "end of the log");
    }
    ray_buf_fini(&newer);
    ray_buf_fini(&older);
    return rc;
}

static int write_report(const struct init_crash_inputs *inputs,
                        const struct init_crash_report *report, int folder_fd, struct ray_err *err)
{
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = yyjson_mut_obj(doc);
    char *text = NULL;
    size_t size = 0;
    int rc;

    yyjson_mut_doc_set_root(doc, root);
    if (yyjson_mut_obj_add_str(doc, root, "boot_id", report->previous_boot_id) &&
        yyjson_mut_obj_add_str(doc, root, "end", init_end_word(report->end)) &&
        yyjson_mut_obj_add_str(doc, root, "last_marker", report->last_marker) &&
        yyjson_mut_obj_add_uint(doc, root, "watchdog_bootstatus", inputs->watchdog_bootstatus) &&
        yyjson_mut_obj_add_uint(doc, root, "pstore_count", report->pstore_count) &&
        yyjson_mut_obj_add_str(doc, root, "found_by_boot_id", inputs->boot_id)) {
        text = yyjson_mut_write(doc, YYJSON_WRITE_PRETTY, &size);
    }
    yyjson_mut_doc_free(doc);
    if (text == NULL) {
        return ray_fail(err, RAY_ENOMEM, "crash report");
    }
    rc = ray_atomic_write(folder_fd, "report.json", text, size, 0640, err);
    free(text);
    return rc;
}

static int fill_folder(const struct init_crash_inputs *inputs,
                       const struct init_crash_report *report, const struct records *records,
                       int folder_fd, struct ray_err *err)
{
    char line[RAY_MARKER_LINE_SIZE_MAX + 1];
    int n;
    int rc = copy_records(inputs->root_fd, records, folder_fd, err);

    if (rc == RAY_OK) {
        rc = write_log_tail(inputs, folder_fd, err);
    }
    if (rc == RAY_OK) {
        n = snprintf(line, sizeof line, "%s\n", report->last_marker);
        rc = ray_atomic_write(folder_fd, "last_marker", line, (size_t)n, 0640, err);
    }
    if (rc == RAY_OK) {
        n = snprintf(line, sizeof line, "%u\n", inputs->watchdog_bootstatus);
        rc = ray_atomic_write(folder_fd, "bootstatus", line, (size_t)n, 0640, err);
    }
    if (rc == RAY_OK) {
        rc = write_report(inputs, report, folder_fd, err);
    }
    return rc;
}

/* Fills crash/.new-<name>, then renames it to crash/<name>. */
static int store_folder(const struct init_crash_inputs *inputs,
                        const struct init_crash_report *report, const struct records *records,
                        int crash_fd, struct ray_err *err)
{
    char temporary[sizeof NEW_PREFIX + INIT_BOOT_ID_SIZE];
    int folder_fd = -1;
    int rc;

    (void)snprintf(temporary, sizeof temporary, NEW_PREFIX "%s", report->folder);
    rc = ray_make_dirs(crash_fd, temporary, 0750, err);
    if (rc == RAY_OK) {
        folder_fd = openat(crash_fd, temporary, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        rc = folder_fd < 0 ? ray_fail_errno(err, errno, "folder of the crash") : RAY_OK;
    }
    if (rc == RAY_OK) {
        rc = fill_folder(inputs, report, records, folder_fd, err);
    }
    if (rc == RAY_OK && fsync(folder_fd) != 0) {
        rc = ray_fail_errno(err, errno, "folder of the crash");
    }
    if (rc == RAY_OK &&
        (renameat(crash_fd, temporary, crash_fd, report->folder) != 0 || fsync(crash_fd) != 0)) {
        rc = ray_fail_errno(err, errno, "folder crash/%s", report->folder);
    }
    if (folder_fd >= 0) {
        (void)close(folder_fd);
    }
    if (rc != RAY_OK) {
        remove_tree(crash_fd, temporary, TREE_DEPTH_MAX);
    }
    return rc;
}

static enum init_end decide(const struct previous *previous, const struct records *records,
                            uint32_t watchdog_bootstatus)
{
    if (records->has_panic) {
        return INIT_END_PANIC;
    }
    if (!previous->is_known) {
        return INIT_END_FIRST_BOOT;
    }
    if (previous->is_clean) {
        return INIT_END_CLEAN;
    }
    return (watchdog_bootstatus & WDIOF_CARDRESET) != 0 ? INIT_END_WATCHDOG : INIT_END_DIRTY;
}

/* The previous boot's id; ours when that is unknown or has a folder already. */
static void choose_folder(const struct init_crash_inputs *inputs, int crash_fd,
                          struct init_crash_report *report)
{
    struct stat info;
    const char *name = report->previous_boot_id;

    if (name[0] == '\0' || fstatat(crash_fd, name, &info, AT_SYMLINK_NOFOLLOW) == 0) {
        name = inputs->boot_id;
    }
    (void)snprintf(report->folder, sizeof report->folder, "%s", name);
}

int init_crash_collect(const struct init_crash_inputs *inputs, struct ray_logger *logger,
                       struct init_crash_report *out, struct ray_err *err)
{
    struct init_crash_report report = {0};
    struct records *records;
    struct previous previous;
    int crash_fd = -1;
    int rc = RAY_OK;

    assert(inputs->boot_id != NULL && inputs->log_name != NULL);
    if (!init_crash_is_boot_id(inputs->boot_id)) {
        return ray_fail(err, RAY_EINVAL, "this boot has no id");
    }
    records = calloc(1, sizeof *records);
    if (records == NULL) {
        return ray_fail(err, RAY_ENOMEM, "list of pstore records");
    }
    previous = read_state(inputs->data_fd, &report);
    list_records(inputs->root_fd, records);
    report.end = decide(&previous, records, inputs->watchdog_bootstatus);
    report.pstore_count = records->count;
    if ((report.end == INIT_END_FIRST_BOOT || report.end == INIT_END_CLEAN) &&
        records->count == 0) {
        goto done;
    }
    rc = ray_make_dirs(inputs->data_fd, CRASH_DIR, 0750, err);
    if (rc == RAY_OK) {
        crash_fd = openat(inputs->data_fd, CRASH_DIR, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        rc = crash_fd < 0 ? ray_fail_errno(err, errno, "folder crash") : RAY_OK;
    }
    if (rc == RAY_OK) {
        sweep_new(crash_fd);
        choose_folder(inputs, crash_fd, &report);
        rc = store_folder(inputs, &report, records, crash_fd, err);
    }
    if (rc == RAY_OK) {
        report.has_folder = true;
        if (!inputs->is_volatile) {
            unlink_records(inputs->root_fd, records, logger);
        }
        prune(crash_fd, report.folder);
    }
done:
    if (crash_fd >= 0) {
        (void)close(crash_fd);
    }
    free(records);
    if (rc == RAY_OK) {
        *out = report;
    }
    return rc;
}
