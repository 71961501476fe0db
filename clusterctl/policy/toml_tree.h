/* clusterctl/policy/toml_tree.h - a TOML text as a tree of plain structs, with lines and columns.
 *
 * The parser is toml++, in C++; toml_tree.cpp is the only file of the tree in that language, and
 * no exception leaves it.
 * Memory: all in the caller's arena.  Threads: any.  Blocks: never.
 * Trust: the text is hostile; what comes out is valid TOML and nothing more. */
#ifndef RAY_CLUSTERCTL_POLICY_TOML_TREE_H
#define RAY_CLUSTERCTL_POLICY_TOML_TREE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct ray_arena;

enum { TOML_TREE_DEPTH_MAX = 8, TOML_TREE_MESSAGE_SIZE = 256 };

enum toml_tree_type {
    TOML_TREE_TABLE,
    TOML_TREE_ARRAY,
    TOML_TREE_STRING,
    TOML_TREE_INTEGER,
    TOML_TREE_OTHER, /* a boolean, a number with a point, a time */
};

struct toml_tree {
    enum toml_tree_type type;
    const char *key;   /* in the table around it; "" in an array */
    uint32_t key_line; /* from 1; where the key is, or in an array the value */
    uint32_t key_column;
    uint32_t line; /* of the value */
    uint32_t column;
    const char *text; /* of a string; NULs in it end it earlier than text_size */
    size_t text_size;
    int64_t number;
    struct toml_tree *first; /* of a table in the order of keys, of an array as written */
    struct toml_tree *next;
};

struct toml_tree_error {
    uint32_t line;
    uint32_t column;
    char message[TOML_TREE_MESSAGE_SIZE];
};

/* RAY_EMALFORMED with out_error: no TOML. RAY_ENOMEM, also without memory in the arena.
 * RAY_ETOOBIG: deeper than TOML_TREE_DEPTH_MAX. */
int toml_tree_read(const char *text, size_t size, struct ray_arena *arena, struct toml_tree **out,
                   struct toml_tree_error *out_error);

#ifdef __cplusplus
}
#endif

#endif
