/* node/facts/tree_fixture.h - a fake root folder with files of /proc, /sys and /run. For tests.
 *
 * Memory: setup and teardown on caller memory.  Threads: one.  Blocks: on a temporary folder.
 * Trust: tests only; a failure to write aborts. */
#ifndef RAY_NODE_FACTS_TREE_FIXTURE_H
#define RAY_NODE_FACTS_TREE_FIXTURE_H

#include <stddef.h>

#include "base/arena.h"
#include "node/facts/read.h"

struct tree {
    char path[128];
    int fd;
    struct ray_arena arena;
    struct facts_source source;
};

void tree_setup(struct tree *tree);
void tree_teardown(struct tree *tree);
/* Folders are made as needed. */
void tree_put(struct tree *tree, const char *path, const char *text);
void tree_put_bytes(struct tree *tree, const char *path, const void *bytes, size_t size);
void tree_link(struct tree *tree, const char *path, const char *target);
void tree_dir(struct tree *tree, const char *path);

/* cmocka's setup and teardown: *state is a struct tree. */
int tree_test_setup(void **state);
int tree_test_teardown(void **state);

#endif
