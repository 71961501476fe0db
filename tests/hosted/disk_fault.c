/* disk_fault.c - LD_PRELOADed into a rayosd of the tests: makes the log's disk fail, slow or
 * silent, as a mapped page says (RAYOS_DISK_FAULT names its file, of one page at least).
 *
 * First byte of the page: '-' all is well, 'e' writes end with EIO, 's' they take the milliseconds
 * of the number behind it, 'h' they hang until the byte changes, 't' each is done by half and hangs
 * for good. It is read at each write, without
 * a system call of its own: the process is in its sandbox by then. Files are those that were opened
 * by openat with a plain name, as only coordinator/store/disk_file.c does. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
    PAGE_SIZE = 4096,
    SECTOR_SIZE = 512,
    FDS_MAX = 4096,
    HANG_STEP_MS = 10,
    MS_PER_S = 1000,
    NS_PER_MS = 1000000
};

struct page {
    _Atomic char mode;
    char unused[3];
    _Atomic unsigned delay_ms;
};

static const struct page *control; /* NULL: no faults */
static atomic_bool is_log[FDS_MAX];

/* The C library's own; looked up before main, while there is one thread. */
static int (*real_openat)(int dir_fd, const char *path, int flags, ...);
static ssize_t (*real_pwrite)(int fd, const void *bytes, size_t size, off_t offset);
static int (*real_fdatasync)(int fd);
static int (*real_close)(int fd);

static void look_up(const char *name, void *out_function)
{
    void *found = dlsym(RTLD_NEXT, name);

    if (found == NULL) {
        abort();
    }
    memcpy(out_function, &found, sizeof found);
}

static void look_up_all(void)
{
    if (real_fdatasync == NULL) {
        look_up("openat", (void *)&real_openat);
        look_up("pwrite", (void *)&real_pwrite);
        look_up("close", (void *)&real_close);
        look_up("fdatasync", (void *)&real_fdatasync);
    }
}

__attribute__((constructor)) static void begin(void)
{
    const char *path = getenv("RAYOS_DISK_FAULT");
    int fd = path == NULL ? -1 : open(path, O_RDONLY | O_CLOEXEC);
    void *page;

    look_up_all();
    if (fd < 0) {
        return;
    }
    page = mmap(NULL, PAGE_SIZE, PROT_READ, MAP_SHARED, fd, 0);
    (void)close(fd); /* the mapping stays */
    control = page == MAP_FAILED ? NULL : page;
}

static void sleep_ms(unsigned ms)
{
    const struct timespec pause = {.tv_sec = ms / MS_PER_S,
                                   .tv_nsec = (long)(ms % MS_PER_S) * NS_PER_MS};

    (void)clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL); /* cut short is fine */
}

static bool is_watched(int fd)
{
    return control != NULL && fd >= 0 && fd < FDS_MAX && atomic_load(&is_log[fd]);
}

static bool is_torn(int fd)
{
    return is_watched(fd) && atomic_load(&control->mode) == 't';
}

/* True: this write fails. */
static bool suffer(int fd)
{
    char mode;

    if (!is_watched(fd)) {
        return false;
    }
    mode = atomic_load(&control->mode);
    if (mode == 's') {
        sleep_ms(atomic_load(&control->delay_ms));
    }
    while (mode == 'h') {
        sleep_ms(HANG_STEP_MS);
        mode = atomic_load(&control->mode);
    }
    return mode == 'e';
}

int openat(int dir_fd, const char *path, int flags, ...)
{
    mode_t mode = 0;
    va_list ap;
    int fd;

    if ((flags & (O_CREAT | __O_TMPFILE)) != 0) {
        va_start(ap, flags);
        mode = va_arg(ap, mode_t);
        va_end(ap);
    }
    look_up_all();
    fd = real_openat(dir_fd, path, flags, mode);
    if (fd >= 0 && fd < FDS_MAX) {
        atomic_store(&is_log[fd],
                     dir_fd != AT_FDCWD && strchr(path, '/') == NULL && (flags & O_DIRECTORY) == 0);
    }
    return fd;
}

int close(int fd)
{
    look_up_all();
    if (fd >= 0 && fd < FDS_MAX) {
        atomic_store(&is_log[fd], false);
    }
    return real_close(fd);
}

ssize_t pwrite(int fd, const void *bytes, size_t size, off_t offset)
{
    if (is_torn(fd)) {
        (void)real_pwrite(fd, bytes, size / 2 / SECTOR_SIZE * SECTOR_SIZE, offset);
        while (true) {
            sleep_ms(HANG_STEP_MS); /* until the process is killed: it is never acknowledged */
        }
    }
    if (suffer(fd)) {
        errno = EIO;
        return -1;
    }
    return real_pwrite(fd, bytes, size, offset);
}

int fdatasync(int fd)
{
    if (suffer(fd)) {
        errno = EIO;
        return -1;
    }
    return real_fdatasync(fd);
}
