/* base/arena.h - memory that is freed all at once: per request, per loop turn.
 *
 * Memory: blocks are kept by reset and freed by fini; a limit is set at init.
 * Threads: one owner.  Blocks: never.  Trust: sizes may be hostile: overflow and
 * limit end in NULL, never in a wrapped size. */
#ifndef RAY_BASE_ARENA_H
#define RAY_BASE_ARENA_H

#include <stdbool.h>
#include <stddef.h>

struct ray_arena_block;

struct ray_arena {
    struct ray_arena_block *blocks; /* newest first */
    size_t used_size;
    size_t size_max;
};

void ray_arena_init(struct ray_arena *arena, size_t size_max);
void ray_arena_fini(struct ray_arena *arena);
void ray_arena_reset(struct ray_arena *arena); /* keeps one block */
void ray_arena_wipe(struct ray_arena *arena);  /* the same; its bytes are zeroed */
/* Of one that was reset: frees the block that it keeps where that is larger than this. */
void ray_arena_trim(struct ray_arena *arena, size_t kept_size_max);
void *ray_arena_alloc(struct ray_arena *arena, size_t size); /* zeroed, max-aligned; NULL */
/* Whether its limit lets it have that much more; where it does, a NULL means no memory. */
bool ray_arena_has_room(const struct ray_arena *arena, size_t size);
char *ray_arena_strndup(struct ray_arena *arena, const char *text, size_t size);
char *ray_arena_printf(struct ray_arena *arena, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

#endif
