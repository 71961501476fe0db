/* Parallelism: a module's start is mostly xz unpacking inside the kernel, so coldplug
 * resolves every alias to a list of distinct modules first and lets a few threads walk it,
 * each with a libkmod context of its own (a context is not shared). Two threads that want
 * the same dependency meet in the kernel: the second waits for the first and gets EEXIST,
 * which libkmod counts as done. */
#include "node/init/system/kmodule.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libkmod.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/atomic_file.h"
#include "base/fault.h"
#include "base/size.h"
#include "node/init/system/kmodule_scan.h"

enum { MODULE_COUNT_MAX = 1024 };

struct init_kmodule {
    struct kmod_ctx *ctx;
    char *dir; /* NULL: libkmod's default for the running kernel */
};

static const char no_config[] = "/dev/null"; /* blacklists and options come from us alone */

static struct kmod_ctx *open_context(const char *dir)
{
    static const char *const config[] = {no_config, NULL};
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
    struct init_kmodule *kmodule;

    kmodule = ray_fault(RAY_FAULT_ALLOC) != 0 ? NULL : calloc(1, sizeof *kmodule);
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

static int probe(struct kmod_ctx *ctx, const char *name, const char *options, struct ray_err *err)
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
        status = kmod_module_probe_insert_module(module, KMOD_PROBE_IGNORE_COMMAND, options, NULL,
                                                 NULL, NULL);
        /* ENODEV: a driver that found no such hardware, say KVM of the other vendor. */
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
    return probe(kmodule->ctx, name, NULL, err);
}

/* Order matters where a later one needs an earlier one without depending on it: the
 * watchdog core is wanted before its drivers can register devices. */
static const struct {
    const char *name;
    const char *options;
    const char *cpu_flag; /* only where /proc/cpuinfo has it */
} listed[] = {
    {"watchdog", NULL, NULL},       {"i6300esb", NULL, NULL},
    {"iTCO_wdt", NULL, NULL},       {"sp5100_tco", NULL, NULL},
    {"efivarfs", NULL, NULL},       {"efi_pstore", "pstore_disable=0", NULL},
    {"ramoops", NULL, NULL},        {"xfs", NULL, NULL},
    {"bridge", NULL, NULL},         {"kvm_intel", "nested=1", "vmx"},
    {"kvm_amd", "nested=1", "svm"}, {"tun", NULL, NULL},
    {"vhost_net", NULL, NULL},      {"vhost_vsock", NULL, NULL},
    {"virtio_rng", NULL, NULL},     {"evdev", NULL, NULL},
};

static bool has_cpu_flag(const char *cpuinfo, const char *flag)
{
    const char *line = cpuinfo == NULL ? NULL : strstr(cpuinfo, "\nflags");
    const char *end = line == NULL ? NULL : strchr(line + 1, '\n');
    size_t size = strlen(flag);

    if (line == NULL) {
        return false;
    }
    for (const char *at = strstr(line, flag); at != NULL && (end == NULL || at < end);
         at = strstr(at + size, flag)) {
        if (at[-1] == ' ' && (at[size] == ' ' || at[size] == '\n' || at[size] == '\0')) {
            return true;
        }
    }
    return false;
}

int init_kmodule_load_listed(struct init_kmodule *kmodule, int root_fd, struct ray_logger *logger,
                             struct init_kmodule_summary *out, struct ray_err *err)
{
    struct init_kmodule_summary summary = {0};
    uint8_t *cpuinfo = NULL;
    size_t cpuinfo_size = 0;
    struct ray_err cpu_err = {0};

    (void)err; /* nothing here stops a boot; the signature leaves room for what might */
    if (ray_file_read(root_fd, "proc/cpuinfo", (size_t)16 << 20, &cpuinfo, &cpuinfo_size,
                      &cpu_err) != RAY_OK) {
        ray_log(logger, RAY_LOG_WARN, "kmodule", "no KVM module chosen: %s", cpu_err.text);
    }
    for (size_t i = 0; i < RAY_ARRAY_COUNT(listed); i++) {
        struct ray_err load_err = {0};
        int rc;

        if (listed[i].cpu_flag != NULL &&
            !has_cpu_flag((const char *)cpuinfo, listed[i].cpu_flag)) {
            continue;
        }
        summary.module_count++;
        rc = probe(kmodule->ctx, listed[i].name, listed[i].options, &load_err);
        if (rc != RAY_OK) {
            summary.failed_count++;
            ray_log(logger, RAY_LOG_DEBUG, "kmodule", "listed module=%s not loaded: %s",
                    listed[i].name, load_err.text);
        }
    }
    free(cpuinfo);
    *out = summary;
    return RAY_OK;
}

/* What the threads share. */
struct work {
    const char *dir;
    struct init_kmodule_names names; /* of modules; read only while threads run */
    atomic_size_t next;
    atomic_size_t failed_count;
    struct ray_logger *logger;
};

static void *load_in_thread(void *arg)
{
    struct work *work = arg;
    struct kmod_ctx *ctx = open_context(work->dir);
    size_t index;

    if (ctx == NULL) {
        return NULL; /* the other threads, or the caller itself, do the work */
    }
    while ((index = atomic_fetch_add(&work->next, 1)) < work->names.count) {
        struct ray_err err = {0};

        if (probe(ctx, work->names.items[index], NULL, &err) != RAY_OK) {
            atomic_fetch_add(&work->failed_count, 1);
            ray_log(work->logger, RAY_LOG_INFO, "kmodule", "module=%s: %s",
                    work->names.items[index], err.text);
        }
    }
    (void)kmod_unref(ctx);
    return NULL;
}

/* The modules that `alias` asks for and that are not in the kernel yet. */
static int resolve_alias(struct kmod_ctx *ctx, const char *alias, struct init_kmodule_names *out)
{
    struct kmod_list *list = NULL;
    struct kmod_list *item;
    int rc = RAY_OK;

    if (kmod_module_new_from_lookup(ctx, alias, &list) < 0) {
        return RAY_OK; /* none */
    }
    kmod_list_foreach(item, list)
    {
        struct kmod_module *module = kmod_module_get_module(item);
        int state = kmod_module_get_initstate(module);

        if (rc == RAY_OK && state != KMOD_MODULE_BUILTIN && state != KMOD_MODULE_LIVE) {
            rc = init_kmodule_names_add(out, kmod_module_get_name(module));
        }
        (void)kmod_module_unref(module);
    }
    (void)kmod_module_unref_list(list);
    return rc;
}

static void run_threads(struct work *work, size_t thread_count)
{
    pthread_t threads[INIT_KMODULE_THREAD_COUNT_MAX];
    size_t started_count = 0;

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
    count = count < work_count ? count : work_count;
    return count > 0 ? count : 1;
}

int init_kmodule_coldplug(struct init_kmodule *kmodule, int root_fd, size_t thread_count,
                          struct ray_logger *logger, struct init_kmodule_summary *out,
                          struct ray_err *err)
{
    struct work work = {.dir = kmodule->dir, .logger = logger};
    struct init_kmodule_names aliases;
    int rc;

    init_kmodule_names_init(&aliases, INIT_KMODULE_ALIAS_COUNT_MAX);
    init_kmodule_names_init(&work.names, MODULE_COUNT_MAX);
    atomic_init(&work.next, 0);
    atomic_init(&work.failed_count, 0);
    rc = init_kmodule_scan_aliases(root_fd, "sys/devices", &aliases, err);
    for (size_t i = 0; rc == RAY_OK && i < aliases.count; i++) {
        rc = resolve_alias(kmodule->ctx, aliases.items[i], &work.names);
        if (rc != RAY_OK) {
            rc = ray_fail(err, rc, "list of modules: %s", ray_err_text(rc));
        }
    }
    if (rc == RAY_OK && work.names.count > 0) {
        run_threads(&work, choose_thread_count(thread_count, work.names.count));
        if (atomic_load(&work.next) < work.names.count) {
            rc = ray_fail(err, RAY_ENOMEM, "no thread could load modules");
        }
    }
    if (rc == RAY_OK) {
        *out = (struct init_kmodule_summary){.alias_count = aliases.count,
                                             .module_count = work.names.count,
                                             .failed_count = atomic_load(&work.failed_count)};
    }
    init_kmodule_names_fini(&aliases);
    init_kmodule_names_fini(&work.names);
    return rc;
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

    if (init_kmodule_create(NULL, &kmodule, NULL) != RAY_OK) {
        return 1;
    }
    for (int i = 1; i < argc; i++) {
        struct ray_err err = {0};

        if (takes_options && strcmp(argv[i], "--") == 0) {
            takes_options = false;
        } else if (takes_options && argv[i][0] == '-') {
            continue; /* -q, -a, -s: what they ask for is what this does anyway */
        } else if (init_kmodule_load(kmodule, argv[i], &err) != RAY_OK) {
            failed = 1; /* the kernel asks for many that nobody has: not worth a line */
        }
    }
    init_kmodule_destroy(kmodule);
    return failed;
}
