/* Parallelism: loading is work inside the kernel (unpacking xz, checking the signature,
 * patching), so a few threads walk a list of distinct modules, each with a libkmod context
 * of its own (a context is not shared). Two threads that want the same dependency meet in
 * the kernel: the second waits for the first and gets EEXIST, which counts as done. */
#include "node/init/system/kmodule.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <libkmod.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/atomic_file.h"
#include "base/clock.h"
#include "base/fault.h"

struct init_kmodule {
    struct kmod_ctx *ctx;
    char *dir; /* NULL: libkmod's default for the running kernel */
};

static struct kmod_ctx *open_context(const char *dir)
{
    /* No configuration of the distribution: blacklists and options come from us alone. */
    static const char *const config[] = {"/dev/null", NULL};
    struct kmod_ctx *ctx = ray_fault(RAY_FAULT_ALLOC) != 0 ? NULL : kmod_new(dir, config);

    if (ctx == NULL) {
        return NULL;
    }
    kmod_set_log_priority(ctx, 0);
    (void)kmod_load_resources(ctx); /* maps the indexes; without them lookups are slower */
    return ctx;
}

int init_kmodule_create(const char *dir, struct init_kmodule **out, struct ray_err *err)
{
    struct init_kmodule *kmodule =
        ray_fault(RAY_FAULT_ALLOC) != 0 ? NULL : calloc(1, sizeof *kmodule);

    if (kmodule == NULL) {
        return ray_fail(err, RAY_ENOMEM, "module loader");
    }
    kmodule->dir = dir == NULL ? NULL : strdup(dir);
    kmodule->ctx = dir != NULL && kmodule->dir == NULL ? NULL : open_context(kmodule->dir);
    if (kmodule->ctx == NULL) {
        init_kmodule_destroy(kmodule);
        return ray_fail(err, RAY_EUNAVAILABLE, "module index of %s",
                        dir == NULL ? "the running kernel" : dir);
    }
    *out = kmodule;
    return RAY_OK;
}

void init_kmodule_destroy(struct init_kmodule *kmodule)
{
    if (kmodule == NULL) {
        return;
    }
    if (kmodule->ctx != NULL) {
        (void)kmod_unref(kmodule->ctx); /* the last reference: NULL */
    }
    free(kmodule->dir);
    free(kmodule);
}

static int probe(struct kmod_ctx *ctx, const char *name, struct ray_err *err)
{
    struct kmod_list *list = NULL;
    struct kmod_list *item;
    int first_errnum = 0;
    bool is_found = false;
    int status;

    status =
        ray_fault(RAY_FAULT_ALLOC) != 0 ? -ENOMEM : kmod_module_new_from_lookup(ctx, name, &list);
    if (status < 0) {
        return ray_fail_errno(err, -status, "looking for module %s", name);
    }
    kmod_list_foreach(item, list)
    {
        struct kmod_module *module = kmod_module_get_module(item);

        is_found = true;
        status = kmod_module_probe_insert_module(module, KMOD_PROBE_IGNORE_COMMAND, NULL, NULL,
                                                 NULL, NULL);
        if (status < 0 && status != -EEXIST && first_errnum == 0) {
            first_errnum = -status;
        }
        (void)kmod_module_unref(module); /* the list holds another reference */
    }
    (void)kmod_module_unref_list(list); /* always 0 */
    if (!is_found) {
        return ray_fail(err, RAY_ENOTFOUND, "no module for %s", name);
    }
    return first_errnum == 0 ? RAY_OK : ray_fail_errno(err, first_errnum, "module %s", name);
}

int init_kmodule_load(struct init_kmodule *kmodule, const char *name, struct ray_err *err)
{
    return probe(kmodule->ctx, name, err);
}

int init_kmodule_resolve(struct init_kmodule *kmodule, const char *alias,
                         bool (*accepts)(const char *path), struct init_kmodule_names *out,
                         struct ray_err *err)
{
    struct kmod_list *list = NULL;
    struct kmod_list *item;
    int rc = RAY_OK;

    if (kmod_module_new_from_lookup(kmodule->ctx, alias, &list) < 0) {
        return RAY_OK; /* none */
    }
    kmod_list_foreach(item, list)
    {
        struct kmod_module *module = kmod_module_get_module(item);
        int state = kmod_module_get_initstate(module);
        const char *path = kmod_module_get_path(module); /* NULL: built in */
        const char *inner = path == NULL ? NULL : strstr(path, "/kernel/");

        if (rc == RAY_OK && inner != NULL && state != KMOD_MODULE_BUILTIN &&
            state != KMOD_MODULE_LIVE && (accepts == NULL || accepts(inner + 1))) {
            rc = init_kmodule_names_add(out, kmod_module_get_name(module));
        }
        (void)kmod_module_unref(module);
    }
    (void)kmod_module_unref_list(list);
    return rc == RAY_OK ? RAY_OK : ray_fail(err, rc, "list of modules: %s", ray_err_text(rc));
}

/* What the threads share. */
struct work {
    const char *dir;
    const struct init_kmodule_names *names;
    atomic_size_t next;
    atomic_size_t failed_count;
    enum ray_log_level fail_level;
    struct ray_logger *logger;
};

/* Logged with how long it took: modules are the longest part of a boot. */
static void load_one(struct work *work, struct kmod_ctx *ctx, const char *name)
{
    uint64_t begin_ns = ray_clock_monotonic_ns();
    struct ray_err err = {0};
    int rc = probe(ctx, name, &err);
    uint64_t took_us = (ray_clock_monotonic_ns() - begin_ns) / RAY_NS_PER_US;

    if (rc == RAY_OK) {
        ray_log(work->logger, RAY_LOG_DEBUG, "modules", "module=%s us=%llu", name,
                (unsigned long long)took_us);
        return;
    }
    atomic_fetch_add(&work->failed_count, 1);
    ray_log(work->logger, work->fail_level, "modules", "module=%s us=%llu: %s", name,
            (unsigned long long)took_us, err.text);
}

static void *load_in_thread(void *arg)
{
    struct work *work = arg;
    struct kmod_ctx *ctx = open_context(work->dir);
    size_t index;

    if (ctx == NULL) {
        return NULL; /* the other threads, or the caller itself, do the work */
    }
    while ((index = atomic_fetch_add(&work->next, 1)) < work->names->count) {
        load_one(work, ctx, work->names->items[index]);
    }
    (void)kmod_unref(ctx);
    return NULL;
}

static void run_threads(struct work *work, size_t thread_count)
{
    pthread_t threads[INIT_KMODULE_THREAD_COUNT_MAX];
    size_t started_count = 0;

    assert(thread_count >= 1 && thread_count <= INIT_KMODULE_THREAD_COUNT_MAX);
    for (size_t i = 0; i + 1 < thread_count; i++) {
        int errnum = ray_fault(RAY_FAULT_FORK);

        if (errnum != 0 ||
            pthread_create(&threads[started_count], NULL, load_in_thread, work) != 0) {
            break; /* fewer hands, same work */
        }
        started_count++;
    }
    (void)load_in_thread(work);
    for (size_t i = 0; i < started_count; i++) {
        (void)pthread_join(threads[i], NULL); /* ours, joinable, joined once */
    }
}

static size_t choose_thread_count(size_t wanted, size_t work_count)
{
    long cpu_count = sysconf(_SC_NPROCESSORS_ONLN);
    size_t count = wanted != 0 ? wanted : cpu_count > 0 ? (size_t)cpu_count : 1;

    count = count < INIT_KMODULE_THREAD_COUNT_MAX ? count : INIT_KMODULE_THREAD_COUNT_MAX;
    return count < work_count ? count : work_count;
}

int init_kmodule_load_names(struct init_kmodule *kmodule, const struct init_kmodule_names *names,
                            size_t thread_count, enum ray_log_level fail_level,
                            struct ray_logger *logger, size_t *out_failed_count,
                            struct ray_err *err)
{
    struct work work = {
        .dir = kmodule->dir, .names = names, .fail_level = fail_level, .logger = logger};

    atomic_init(&work.next, 0);
    atomic_init(&work.failed_count, 0);
    if (names->count > 0) {
        run_threads(&work, choose_thread_count(thread_count, names->count));
        if (atomic_load(&work.next) < names->count) {
            return ray_fail(err, RAY_ENOMEM, "no thread could load modules");
        }
    }
    *out_failed_count = atomic_load(&work.failed_count);
    return RAY_OK;
}

int init_kmodule_install_helper(int root_fd, const char *program, struct ray_err *err)
{
    static const char link_path[] = "usr/lib/rayos/modprobe";
    int errnum = ray_fault(RAY_FAULT_OPEN);

    if (errnum == 0 && symlinkat(program, root_fd, link_path) != 0 && errno != EEXIST) {
        errnum = errno;
    }
    if (errnum != 0) {
        return ray_fail_errno(err, errnum, "link /%s", link_path);
    }
    return ray_file_write_existing(root_fd, "proc/sys/kernel/modprobe", "/usr/lib/rayos/modprobe",
                                   err);
}

int init_modprobe_main(int argc, char **argv)
{
    struct init_kmodule *kmodule = NULL;
    bool takes_options = true;
    int failed = 0;

    if (init_kmodule_create(NULL, &kmodule, NULL) != RAY_OK || kmodule == NULL) {
        return 1;
    }
    for (int i = 1; i < argc; i++) {
        if (takes_options && strcmp(argv[i], "--") == 0) {
            takes_options = false;
        } else if (takes_options && argv[i][0] == '-') {
            continue; /* -q, -a, -s: what they ask for is what this does anyway */
        } else if (init_kmodule_load(kmodule, argv[i], NULL) != RAY_OK) {
            failed = 1; /* the kernel asks for many that nobody has: not worth a line */
        }
    }
    init_kmodule_destroy(kmodule);
    return failed;
}
