/* tree_fixture.c - see tree_fixture.h. */
#include "node/facts/tree_fixture.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/atomic_file.h"

static void check(int is_good, const char *what)
{
    if (!is_good) {
        perror(what);
        abort();
    }
}

void tree_setup(struct tree *tree)
{
    const char *tmp = getenv("TMPDIR");

    *tree = (struct tree){.fd = -1};
    (void)snprintf(tree->path, sizeof tree->path, "%s/facts-XXXXXX", tmp != NULL ? tmp : "/tmp");
    check(mkdtemp(tree->path) != NULL, tree->path);
    tree->fd = open(tree->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    check(tree->fd >= 0, tree->path);
    ray_arena_init(&tree->arena, FACTS_ARENA_SIZE_MAX);
    tree->source = (struct facts_source){.root_fd = tree->fd, .arena = &tree->arena};
}

static int remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

void tree_teardown(struct tree *tree)
{
    check(nftw(tree->path, remove_entry, 8, FTW_DEPTH | FTW_PHYS) == 0, tree->path);
    ray_arena_fini(&tree->arena);
    (void)close(tree->fd);
}

static void make_parents(struct tree *tree, const char *path)
{
    char parent[512];
    char *slash;

    (void)snprintf(parent, sizeof parent, "%s", path);
    slash = strrchr(parent, '/');
    if (slash != NULL) {
        *slash = '\0';
        check(ray_make_dirs(tree->fd, parent, 0755, NULL) == RAY_OK, parent);
    }
}

void tree_put_bytes(struct tree *tree, const char *path, const void *bytes, size_t size)
{
    int fd;

    make_parents(tree, path);
    fd = openat(tree->fd, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    check(fd >= 0, path);
    check(write(fd, bytes, size) == (ssize_t)size, path);
    check(close(fd) == 0, path);
}

void tree_put(struct tree *tree, const char *path, const char *text)
{
    tree_put_bytes(tree, path, text, strlen(text));
}

void tree_link(struct tree *tree, const char *path, const char *target)
{
    make_parents(tree, path);
    check(symlinkat(target, tree->fd, path) == 0, path);
}

void tree_dir(struct tree *tree, const char *path)
{
    check(ray_make_dirs(tree->fd, path, 0755, NULL) == RAY_OK, path);
}

int tree_test_setup(void **state)
{
    struct tree *tree = calloc(1, sizeof *tree);

    if (tree == NULL) {
        abort();
    }
    tree_setup(tree);
    *state = tree;
    return 0;
}

int tree_test_teardown(void **state)
{
    tree_teardown(*state);
    free(*state);
    return 0;
}
