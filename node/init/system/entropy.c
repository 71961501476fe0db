/* The seed file: 8 bytes of magic (the last says whether the seed may be credited: it was
 * made when the pool was ready, or from one that was), the seed, a BLAKE2b checksum.
 *
 * libsodium is used without sodium_init here: that would draw random bytes and so wait for
 * the very pool that is being fed; hashing needs none. */
#include "node/init/system/entropy.h"

#include <assert.h>
#include <errno.h>
#include <linux/random.h>
#include <poll.h>
#include <pthread.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/atomic_file.h"
#include "base/clock.h"
#include "base/fault.h"

enum { MAGIC_SIZE = 8, CHECK_SIZE = 32, CREDIT_BITS = 256, HASH_SIZE = 64 };

struct seed_file {
    uint8_t magic[MAGIC_SIZE];
    uint8_t seed[INIT_ENTROPY_SEED_SIZE];
    uint8_t check[CHECK_SIZE];
};

static_assert(sizeof(struct seed_file) == MAGIC_SIZE + INIT_ENTROPY_SEED_SIZE + CHECK_SIZE,
              "the file has no padding");
static_assert(INIT_ENTROPY_SEED_SIZE % HASH_SIZE == 0, "the seed is whole hashes");

static const uint8_t magic_creditable[MAGIC_SIZE] = {'R', 'a', 'y', 's', 'e', 'e', 'd', '1'};
static const uint8_t magic_weak[MAGIC_SIZE] = {'R', 'a', 'y', 's', 'e', 'e', 'd', '0'};

static void checksum(const struct seed_file *file, uint8_t out[static CHECK_SIZE])
{
    (void)crypto_generichash(out, CHECK_SIZE, (const unsigned char *)file,
                             offsetof(struct seed_file, check), NULL, 0);
}

/* *out_is_whole: magic, size and checksum are right. */
static int read_seed(int data_fd, struct seed_file *out, bool *out_is_whole, struct ray_err *err)
{
    uint8_t check[CHECK_SIZE];
    uint8_t *data = NULL;
    size_t size = 0;
    int rc;

    rc = ray_file_read(data_fd, INIT_ENTROPY_SEED_FILE, 4096, &data, &size, err);
    if (rc != RAY_OK) {
        return rc;
    }
    *out = (struct seed_file){0};
    if (data != NULL) {
        memcpy(out, data, size < sizeof *out ? size : sizeof *out);
    }
    checksum(out, check);
    *out_is_whole = size == sizeof *out && memcmp(check, out->check, sizeof check) == 0 &&
                    (memcmp(out->magic, magic_creditable, MAGIC_SIZE) == 0 ||
                     memcmp(out->magic, magic_weak, MAGIC_SIZE) == 0);
    if (data != NULL) {
        sodium_memzero(data, size);
    }
    free(data);
    return RAY_OK;
}

/* A new seed from the pool and `old`; either alone is enough. */
static int write_seed(int data_fd, const struct seed_file *old, bool old_is_creditable,
                      struct ray_err *err)
{
    uint8_t random[INIT_ENTROPY_SEED_SIZE];
    struct seed_file file;
    bool is_ready;
    int rc;

    is_ready = getrandom(random, sizeof random, GRND_NONBLOCK) == (ssize_t)sizeof random;
    if (!is_ready && getrandom(random, sizeof random, GRND_INSECURE) != (ssize_t)sizeof random) {
        return ray_fail_errno(err, errno, "bytes for a new seed");
    }
    memcpy(file.magic, is_ready || old_is_creditable ? magic_creditable : magic_weak, MAGIC_SIZE);
    for (size_t at = 0; at < sizeof file.seed; at += HASH_SIZE) {
        crypto_generichash_state state;

        (void)crypto_generichash_init(&state, NULL, 0, HASH_SIZE);
        (void)crypto_generichash_update(&state, random + at, HASH_SIZE);
        if (old != NULL) {
            (void)crypto_generichash_update(&state, old->seed, sizeof old->seed);
        }
        (void)crypto_generichash_update(&state, (const unsigned char *)&at, sizeof at);
        (void)crypto_generichash_final(&state, file.seed + at, HASH_SIZE);
        sodium_memzero(&state, sizeof state);
    }
    checksum(&file, file.check);
    rc = ray_make_dirs(data_fd, "identity", S_IRWXU, err);
    if (rc == RAY_OK) {
        rc = ray_atomic_write(data_fd, INIT_ENTROPY_SEED_FILE, &file, sizeof file,
                              S_IRUSR | S_IWUSR, err);
    }
    sodium_memzero(&file, sizeof file);
    sodium_memzero(random, sizeof random);
    return rc;
}

static int mix(int fd, const struct seed_file *file, struct ray_err *err)
{
    int errnum = ray_fault(RAY_FAULT_WRITE);
    ssize_t written = 0;

    if (errnum == 0) {
        written = write(fd, file->seed, sizeof file->seed);
        errnum = written < 0 ? errno : 0;
    }
    if (errnum != 0) {
        return ray_fail_errno(err, errnum, "mixing the seed in");
    }
    if ((size_t)written != sizeof file->seed) {
        return ray_fail(err, RAY_EIO, "mixing the seed in: %zd bytes taken", written);
    }
    return RAY_OK;
}

static int credit(int fd, const struct seed_file *file, struct ray_err *err)
{
    /* struct rand_pool_info of linux/random.h, with its open end filled. */
    struct {
        int entropy_count;
        int buf_size;
        uint8_t seed[INIT_ENTROPY_SEED_SIZE];
    } request = {.entropy_count = CREDIT_BITS, .buf_size = INIT_ENTROPY_SEED_SIZE};
    int rc = RAY_OK;

    memcpy(request.seed, file->seed, sizeof request.seed);
    if (ioctl(fd, RNDADDENTROPY, &request) != 0) {
        rc = ray_fail_errno(err, errno, "crediting the seed");
    }
    sodium_memzero(&request, sizeof request);
    return rc;
}

int init_entropy_load(int data_fd, const struct init_entropy_device *device,
                      enum init_entropy_outcome *out_outcome, struct ray_err *err)
{
    enum init_entropy_outcome outcome = INIT_ENTROPY_MIXED;
    struct seed_file old;
    bool is_whole = false;
    bool is_creditable;
    int rc;

    rc = read_seed(data_fd, &old, &is_whole, err);
    if (rc == RAY_ENOTFOUND) {
        rc = write_seed(data_fd, NULL, false, err);
        if (rc == RAY_OK) {
            *out_outcome = INIT_ENTROPY_NO_SEED;
        }
        return rc;
    }
    if (rc != RAY_OK) {
        return rc;
    }
    is_creditable = is_whole && memcmp(old.magic, magic_creditable, MAGIC_SIZE) == 0;
    rc = mix(device->fd, &old, err);
    if (rc == RAY_OK) {
        struct ray_err stored = {0};
        int write_rc = write_seed(data_fd, &old, is_creditable, &stored);

        /* Credit only what can never be credited again. */
        if (write_rc == RAY_OK && is_creditable && device->can_credit) {
            rc = credit(device->fd, &old, err);
            outcome = INIT_ENTROPY_CREDITED;
        }
    }
    sodium_memzero(&old, sizeof old);
    if (rc == RAY_OK) {
        *out_outcome = outcome;
    }
    return rc;
}

int init_entropy_save(int data_fd, struct ray_err *err)
{
    return write_seed(data_fd, NULL, false, err);
}

/* Shared by the waiting thread and its caller; the last one frees it. */
struct waiter {
    atomic_int owner_count;
    int event_fd;
};

static void drop_waiter(struct waiter *waiter)
{
    if (atomic_fetch_sub(&waiter->owner_count, 1) == 1) {
        (void)close(waiter->event_fd);
        free(waiter);
    }
}

/* Only the blocking call makes the kernel gather jitter entropy; poll(2) would wait for
 * interrupts, which an idle machine may not have. */
static void *wait_in_thread(void *arg)
{
    struct waiter *waiter = arg;
    const uint64_t one = 1;
    uint8_t byte;

    while (getrandom(&byte, sizeof byte, 0) < 0 && errno == EINTR) {
    }
    (void)!write(waiter->event_fd, &one, sizeof one); /* the counter cannot overflow */
    drop_waiter(waiter);
    return NULL;
}

static int start_waiter(struct waiter **out, struct ray_err *err)
{
    struct waiter *waiter = ray_fault(RAY_FAULT_ALLOC) != 0 ? NULL : malloc(sizeof *waiter);
    pthread_t thread;
    int errnum;

    if (waiter == NULL) {
        return ray_fail(err, RAY_ENOMEM, "waiting for randomness");
    }
    atomic_init(&waiter->owner_count, 2);
    waiter->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    errnum = waiter->event_fd < 0 ? errno : 0;
    if (errnum == 0) {
        errnum = ray_fault(RAY_FAULT_FORK);
        errnum = errnum != 0 ? errnum : pthread_create(&thread, NULL, wait_in_thread, waiter);
    }
    if (errnum != 0) {
        if (waiter->event_fd >= 0) {
            (void)close(waiter->event_fd);
        }
        free(waiter);
        return ray_fail_errno(err, errnum, "waiting for randomness");
    }
    (void)pthread_detach(thread); /* joinable by construction */
    *out = waiter;
    return RAY_OK;
}

int init_entropy_wait(uint64_t timeout_ms, struct ray_err *err)
{
    uint64_t deadline_ns = ray_clock_boottime_ns() + timeout_ms * RAY_NS_PER_MS;
    struct waiter *waiter = NULL;
    uint8_t byte;
    int rc;

    if (getrandom(&byte, sizeof byte, GRND_NONBLOCK) == 1) {
        return RAY_OK;
    }
    rc = start_waiter(&waiter, err);
    if (rc != RAY_OK || waiter == NULL) {
        return rc;
    }
    for (;;) {
        struct pollfd wanted = {.fd = waiter->event_fd, .events = POLLIN};
        uint64_t now_ns = ray_clock_boottime_ns();
        uint64_t left_ns = now_ns < deadline_ns ? deadline_ns - now_ns : 0;
        struct timespec left = {.tv_sec = (time_t)(left_ns / RAY_NS_PER_S),
                                .tv_nsec = (long)(left_ns % RAY_NS_PER_S)};
        int count = ppoll(&wanted, 1, &left, NULL);

        if (count > 0) {
            break;
        }
        if (count == 0 && left_ns == 0) {
            rc = ray_fail(err, RAY_ETIMEOUT, "no randomness within %llu ms",
                          (unsigned long long)timeout_ms);
            break;
        }
    }
    drop_waiter(waiter);
    return rc;
}
