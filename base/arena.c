/* arena.c - blocks grow as needed; the newest is filled, older ones are left as they are. */
#include "base/arena.h"

#include <assert.h>
#include <stdalign.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fault.h"
#include "base/size.h"

enum { ARENA_BLOCK_SIZE_MIN = 4096 };

struct ray_arena_block {
    struct ray_arena_block *next;
    size_t capacity;
    size_t used_size;
    max_align_t data[];
};

void ray_arena_init(struct ray_arena *arena, size_t size_max)
{
    assert(arena != NULL);
    *arena = (struct ray_arena){.size_max = size_max};
}

static void free_blocks(struct ray_arena_block *block)
{
    while (block != NULL) {
        struct ray_arena_block *next = block->next;

        free(block);
        block = next;
    }
}

void ray_arena_fini(struct ray_arena *arena)
{
    if (arena == NULL) {
        return;
    }
    free_blocks(arena->blocks);
    *arena = (struct ray_arena){.size_max = arena->size_max};
}

void ray_arena_reset(struct ray_arena *arena)
{
    arena->used_size = 0;
    if (arena->blocks != NULL) {
        free_blocks(arena->blocks->next);
        arena->blocks->next = NULL;
        arena->blocks->used_size = 0;
    }
}

void ray_arena_wipe(struct ray_arena *arena)
{
    for (struct ray_arena_block *block = arena->blocks; block != NULL; block = block->next) {
        explicit_bzero(block->data, block->used_size);
    }
    ray_arena_reset(arena);
}

void ray_arena_trim(struct ray_arena *arena, size_t kept_size_max)
{
    assert(arena->used_size == 0);
    if (arena->blocks != NULL && arena->blocks->capacity > kept_size_max) {
        ray_arena_fini(arena);
    }
}

static bool add_block(struct ray_arena *arena, size_t size)
{
    size_t capacity = size > ARENA_BLOCK_SIZE_MIN ? size : ARENA_BLOCK_SIZE_MIN;
    struct ray_arena_block *block = NULL;
    size_t block_size;

    if (!ray_add_size(sizeof *block, capacity, &block_size) || ray_fault(RAY_FAULT_ALLOC) != 0) {
        return false;
    }
    block = malloc(block_size);
    if (block == NULL) {
        return false;
    }
    *block = (struct ray_arena_block){.next = arena->blocks, .capacity = capacity};
    arena->blocks = block;
    return true;
}

static bool find_room(const struct ray_arena *arena, size_t size, size_t *out_aligned_size,
                      size_t *out_total_size)
{
    return ray_align_size(size > 0 ? size : 1, alignof(max_align_t), out_aligned_size) &&
           ray_add_size(arena->used_size, *out_aligned_size, out_total_size) &&
           *out_total_size <= arena->size_max;
}

bool ray_arena_has_room(const struct ray_arena *arena, size_t size)
{
    size_t aligned_size;
    size_t total_size;

    return find_room(arena, size, &aligned_size, &total_size);
}

void *ray_arena_alloc(struct ray_arena *arena, size_t size)
{
    struct ray_arena_block *block;
    size_t aligned_size;
    size_t total_size;
    void *out;

    if (!find_room(arena, size, &aligned_size, &total_size)) {
        return NULL;
    }
    block = arena->blocks;
    if (block == NULL || block->capacity - block->used_size < aligned_size) {
        if (!add_block(arena, aligned_size)) {
            return NULL;
        }
        block = arena->blocks;
    }
    out = (uint8_t *)block->data + block->used_size;
    memset(out, 0, aligned_size);
    block->used_size += aligned_size;
    arena->used_size = total_size;
    assert(block->used_size <= block->capacity);
    return out;
}

char *ray_arena_strndup(struct ray_arena *arena, const char *text, size_t size)
{
    size_t length = strnlen(text, size);
    size_t copy_size;
    char *out;

    if (!ray_add_size(length, 1, &copy_size)) {
        return NULL;
    }
    out = ray_arena_alloc(arena, copy_size);
    if (out != NULL) {
        memcpy(out, text, length);
    }
    return out;
}

char *ray_arena_printf(struct ray_arena *arena, const char *fmt, ...)
{
    va_list ap;
    int length;
    char *out;

    va_start(ap, fmt);
    length = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (length < 0) {
        return NULL;
    }
    out = ray_arena_alloc(arena, (size_t)length + 1);
    if (out != NULL) {
        va_start(ap, fmt);
        (void)vsnprintf(out, (size_t)length + 1, fmt, ap);
        va_end(ap);
    }
    return out;
}
