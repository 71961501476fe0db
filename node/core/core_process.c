#include "node/core/core_process.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <yyjson.h>

#include "base/atomic_file.h"
#include "base/fault.h"
#include "base/size.h"

enum { ARGUMENT_COUNT = 8, IMAGE_FILE_SIZE_MAX = 4096, SIGNAL_MAX = 64, PID_MAX = 1 << 22 };

#define SERVICES "0::/rayos.slice/"

int core_process_args(int argc, char **argv, struct core_process *out, struct ray_err *err)
{
    static const uint64_t limits[ARGUMENT_COUNT] = {
        0, PID_MAX, PID_MAX, UINT32_MAX, UINT32_MAX, SIGNAL_MAX, UINT32_MAX, 2,
    };
    uint64_t values[ARGUMENT_COUNT] = {0};
    struct core_process process = {.wanted = CORE_KEEP_INFO};

    if (argc != ARGUMENT_COUNT + 1) {
        return ray_fail(err, RAY_EUSAGE, "%d arguments, not %d", argc - 1, ARGUMENT_COUNT);
    }
    if (strcmp(argv[1], "full") == 0) {
        process.wanted = CORE_KEEP_MEMORY;
    } else if (strcmp(argv[1], "info") != 0) {
        return ray_fail(err, RAY_EUSAGE, "mode is none of info, full");
    }
    for (size_t i = 1; i < ARGUMENT_COUNT; i++) {
        if (ray_parse_u64(argv[i + 1], 0, limits[i], &values[i]) != RAY_OK) {
            return ray_fail(err, RAY_EUSAGE, "argument %zu is no number up to %" PRIu64, i + 1,
                            limits[i]);
        }
    }
    process.pid = values[1];
    process.tid = values[2];
    process.uid = values[3];
    process.gid = values[4];
    process.signal = (int)values[5];
    process.time_s = values[6];
    process.dump_mode = (unsigned)values[7];
    *out = process;
    return RAY_OK;
}

void core_service_of(const char *cgroup, char out[static CORE_SERVICE_SIZE_MAX])
{
    const char *name = cgroup + sizeof SERVICES - 1;
    size_t size;

    out[0] = '\0';
    if (strncmp(cgroup, SERVICES, sizeof SERVICES - 1) != 0) {
        return;
    }
    size = strcspn(name, "/\n");
    if (size > 0 && size < CORE_SERVICE_SIZE_MAX) {
        memcpy(out, name, size);
        out[size] = '\0';
    }
}

/* A line of a file of the kernel; "" when it cannot be read. */
static void read_line(int dir_fd, const char *name, char *out, size_t out_size)
{
    if (ray_file_read_text(dir_fd, name, out, out_size, NULL) != RAY_OK) {
        out[0] = '\0';
    }
}

static void read_exe(int proc_fd, char out[static CORE_EXE_SIZE_MAX])
{
    ssize_t size = ray_fault(RAY_FAULT_READ) != 0
                       ? -1
                       : readlinkat(proc_fd, "exe", out, CORE_EXE_SIZE_MAX - 1);

    out[size > 0 ? size : 0] = '\0';
}

static void read_image_version(int root_fd, char *out, size_t out_size)
{
    uint8_t *text = NULL;
    size_t size = 0;
    yyjson_doc *doc;
    const char *version;

    if (ray_file_read(root_fd, "usr/lib/rayos/image.json", IMAGE_FILE_SIZE_MAX, &text, &size,
                      NULL) != RAY_OK) {
        return;
    }
    doc = yyjson_read((const char *)text, size, 0);
    version = yyjson_get_str(yyjson_obj_get(yyjson_doc_get_root(doc), "version"));
    if (version != NULL) {
        (void)ray_escape(out, out_size, version, strlen(version));
    }
    yyjson_doc_free(doc);
    free(text);
}

void core_process_read(int root_fd, struct core_process *process)
{
    char path[64];
    int proc_fd;

    read_line(root_fd, "proc/sys/kernel/random/boot_id", process->boot_id, sizeof process->boot_id);
    read_image_version(root_fd, process->image_version, sizeof process->image_version);
    (void)snprintf(path, sizeof path, "proc/%" PRIu64, process->pid);
    proc_fd = openat(root_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (proc_fd < 0) {
        return;
    }
    read_line(proc_fd, "comm", process->comm, sizeof process->comm);
    read_line(proc_fd, "cgroup", process->cgroup, sizeof process->cgroup);
    read_exe(proc_fd, process->exe);
    core_service_of(process->cgroup, process->service);
    (void)close(proc_fd);
}
