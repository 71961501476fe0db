#include "node/init/fd_store.h"

#include <assert.h>
#include <linux/kcmp.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Inode numbers do not tell: all eventfds and epoll descriptors share one. */
static bool is_same_file(int a, int b)
{
    pid_t self = getpid();

    return syscall(SYS_kcmp, self, self, KCMP_FILE, (unsigned long)a, (unsigned long)b) == 0;
}

int fd_store_add(struct fd_store *store, const char *name, int fd, struct ray_err *err)
{
    struct fd_store_entry *entry;

    assert(notify_fd_name_is_valid(name, strlen(name)));
    for (size_t i = 0; i < store->count; i++) {
        if (strcmp(store->entries[i].name, name) == 0 && is_same_file(store->entries[i].fd, fd)) {
            (void)close(fd);
            return RAY_OK;
        }
    }
    if (store->count >= FD_STORE_COUNT_MAX) {
        (void)close(fd);
        return ray_fail(err, RAY_ETOOBIG, "descriptor %s: %d are kept already", name,
                        FD_STORE_COUNT_MAX);
    }
    entry = &store->entries[store->count++];
    entry->fd = fd;
    memcpy(entry->name, name, strlen(name) + 1);
    return RAY_OK;
}

size_t fd_store_remove(struct fd_store *store, const char *name)
{
    size_t kept_count = 0;
    size_t removed_count;

    for (size_t i = 0; i < store->count; i++) {
        if (strcmp(store->entries[i].name, name) == 0) {
            (void)close(store->entries[i].fd);
        } else {
            store->entries[kept_count++] = store->entries[i];
        }
    }
    removed_count = store->count - kept_count;
    store->count = kept_count;
    return removed_count;
}

bool fd_store_has(const struct fd_store *store, const char *name)
{
    for (size_t i = 0; i < store->count; i++) {
        if (strcmp(store->entries[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

void fd_store_fini(struct fd_store *store)
{
    for (size_t i = 0; i < store->count; i++) {
        (void)close(store->entries[i].fd);
    }
    store->count = 0;
}
