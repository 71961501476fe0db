/* rayos-core - the kernel starts it for each process that crashes, as root, with the core on
 * its stdin and, by the core_pattern that PID 1 sets, the arguments
 *
 *   rayos-core info|full PID TID UID GID SIGNAL TIME DUMPMODE
 *
 * As root it only opens things: /dev/kmsg, the rate file, the folder of cores, /proc/PID (three
 * short texts of the kernel) and /proc/PID/mem. Then it becomes a user without rights in a
 * folder without files and reads the core. Nobody waits for it for ever: at the deadline it
 * keeps what it has; a second later, should the disk hang, it ends. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/analyzer.h"
#include "base/atomic_file.h"
#include "base/clock.h"
#include "base/size.h"
#include "node/core/core_collect.h"
#include "node/core/core_line.h"
#include "node/core/core_sandbox.h"

enum {
    DEADLINE_S = 40, /* for lock, stream and memory */
    GRACE_S = 20,    /* then for the disk */
    NICE = 10,
};

#define CORES_PATH "/var/rayos/" CORE_STORE_FOLDER
#define RATE_PATH "/run/rayos/core-rate"

static volatile sig_atomic_t alarm_count;

/* The first ends a wait for the lock; the second ends us. */
static void on_alarm(int signum)
{
    (void)signum;
    if (++alarm_count > 1) {
        _exit(1);
    }
}

RAY_ANALYZER_FDS_BY_NUMBER_BEGIN

/* The kernel gives us stdin only; what a library says in despair must not land in a core. */
static void fill_standard_fds(void)
{
    int fd;

    do {
        fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    } while (fd >= 0 && fd < STDERR_FILENO);
    if (fd > STDERR_FILENO) {
        (void)close(fd);
    }
}

RAY_ANALYZER_FDS_BY_NUMBER_END

static void set_alarms(void)
{
    const struct sigaction action = {.sa_handler = on_alarm}; /* without SA_RESTART */
    const struct itimerval timer = {.it_value = {.tv_sec = DEADLINE_S},
                                    .it_interval = {.tv_sec = GRACE_S}};

    (void)sigaction(SIGALRM, &action, NULL);
    (void)setitimer(ITIMER_REAL, &timer, NULL);
}

/* Before the data folder is mounted there is none. */
static int open_cores(struct core_job *job)
{
    struct statfs info;
    int fd = open(CORES_PATH, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

    if (fd >= 0) {
        job->limits = core_limits_of(fstatfs(fd, &info) == 0 && info.f_type == TMPFS_MAGIC);
    }
    return fd;
}

static int open_memory(uint64_t pid)
{
    char path[64];

    (void)snprintf(path, sizeof path, "/proc/%" PRIu64 "/mem", pid);
    return open(path, O_RDONLY | O_CLOEXEC);
}

static void open_all(struct core_job *job)
{
    job->cores_fd = open_cores(job);
    job->rate_fd = open(RATE_PATH, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
    job->memory_fd = open_memory(job->process->pid);
}

static void close_all(const struct core_job *job)
{
    const int fds[] = {job->cores_fd, job->rate_fd, job->memory_fd};

    for (size_t i = 0; i < RAY_ARRAY_COUNT(fds); i++) {
        if (fds[i] >= 0) {
            (void)close(fds[i]); /* what was written was synced where it matters */
        }
    }
}

static void say(int kmsg_fd, const struct core_process *process, const struct core_outcome *outcome)
{
    char line[CORE_LINE_SIZE_MAX];
    char note[256];
    size_t size;

    (void)snprintf(note, sizeof note, "folder=%s reason=%s",
                   outcome->folder[0] != '\0' ? outcome->folder : "-",
                   outcome->reason[0] != '\0' ? outcome->reason : "-");
    size = core_line_format(line, process->service[0] != '\0' ? process->service : process->comm,
                            process->signal, outcome->kept, process->pid, outcome->uncounted, note);
    if (kmsg_fd >= 0) {
        (void)!write(kmsg_fd, line, size); /* there is nobody else to tell */
    }
}

/* RAY_OK, or why nothing could be done at all. */
static int run(int argc, char **argv, int kmsg_fd, struct ray_err *err)
{
    struct core_process process;
    struct core_outcome outcome;
    struct core_job job = {
        .process = &process,
        .stream_fd = STDIN_FILENO,
        .deadline_ns = ray_clock_monotonic_ns() + DEADLINE_S * RAY_NS_PER_S,
    };
    int rc = core_process_args(argc, argv, &process, err);
    int root_fd;

    if (rc != RAY_OK) {
        return rc;
    }
    root_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (root_fd < 0) {
        return ray_fail_errno(err, errno, "/");
    }
    core_process_read(root_fd, &process);
    (void)close(root_fd); /* O_PATH: nothing can be lost */
    open_all(&job);
    rc = core_sandbox_enter(job.cores_fd, CORE_SANDBOX_ID, CORE_SANDBOX_ID, err);
    if (rc == RAY_OK) { /* not as root, whatever is lost */
        core_collect(&job, &outcome);
        say(kmsg_fd, &process, &outcome);
    }
    close_all(&job);
    return rc;
}

int main(int argc, char **argv)
{
    struct ray_err err = {0};
    int kmsg_fd;

    fill_standard_fds();
    kmsg_fd = open("/dev/kmsg", O_WRONLY | O_NOCTTY | O_CLOEXEC);
    (void)umask(077);
    (void)setpriority(PRIO_PROCESS, 0, NICE); /* only a courtesy to the others */
    set_alarms();
    if (run(argc, argv, kmsg_fd, &err) != RAY_OK) {
        char line[CORE_LINE_SIZE_MAX];
        int size = snprintf(line, sizeof line, "<11>rayos-core: %.400s\n", err.text);

        if (size > 0 && kmsg_fd >= 0) {
            (void)!write(kmsg_fd, line, (size_t)size);
        }
        return 1;
    }
    return 0;
}
