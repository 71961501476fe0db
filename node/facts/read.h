/* node/facts/read.h - small readers of /proc, /sys and /run below a root folder.
 *
 * Facts describe and do not fail: what is missing or makes no sense is "", 0 or nothing. The
 * one failure is that memory ran out; it is noted in the source and reported at the end.
 * Memory: results live in the source's arena; "" may be static.  Threads: the caller's.
 * Blocks: on pseudo files only; never on a FIFO or a terminal.
 * Trust: contents are hostile (device strings, fake trees in tests): every read has a limit,
 * texts are escaped to printable ASCII. Paths are ours; names in them come from facts_list,
 * which gives only plain names. */
#ifndef RAY_NODE_FACTS_READ_H
#define RAY_NODE_FACTS_READ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/arena.h"

enum {
    FACTS_TEXT_SIZE_MAX = 128,   /* of one fact, escaped, with NUL */
    FACTS_NAME_SIZE_MAX = 64,    /* of a folder's entry, with NUL */
    FACTS_ENTRY_COUNT_MAX = 256, /* of a folder that are looked at */
    FACTS_ARENA_SIZE_MAX = 1 << 20,
};

struct yyjson_doc;
struct yyjson_val;

struct facts_source {
    int root_fd; /* borrowed; where "proc", "sys" and "run" are */
    struct ray_arena *arena;
    bool is_out_of_memory;
};

/* At most out_size - 1 bytes of a file, NUL-terminated; the number of them, 0 if unreadable. */
size_t facts_head(const struct facts_source *source, const char *path, char *out, size_t out_size);

/* A copy of `size` untrusted bytes: escaped, without white space at either end, cut. */
char *facts_copy(struct facts_source *source, const char *bytes, size_t size);

/* First line of a file. */
char *facts_text(struct facts_source *source, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* A file that is one unsigned number, decimal or 0x. 0 if it is not. */
uint64_t facts_number(const struct facts_source *source, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
bool facts_exists(const struct facts_source *source, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* Last part of what a symbolic link points to. */
char *facts_link_name(struct facts_source *source, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* All of what a symbolic link points to, cut at out_size; false if it is none. */
bool facts_link(const struct facts_source *source, char *out, size_t out_size, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* Entries of a folder, sorted, in the arena; names of other characters than
 * [A-Za-z0-9._:-], or too long, are left out. */
size_t facts_list(struct facts_source *source, char ***out_names, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* A JSON file of at most size_max - 1 bytes; NULL when it is missing or no JSON. The caller
 * frees it with yyjson_doc_free. */
struct yyjson_doc *facts_json(struct facts_source *source, const char *path, size_t size_max);
/* The text `key` of an object; "" when there is none. */
char *facts_json_text(struct facts_source *source, struct yyjson_val *object, const char *key);

/* Arena memory; notes when there is none. */
void *facts_alloc(struct facts_source *source, size_t size);

/* Value of the first line "key<space>:<space>value" in `text`; NULL: none. */
const char *facts_field(const char *text, const char *key, size_t *out_size);

#endif
