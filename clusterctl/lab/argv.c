/* clusterctl/lab/argv.c - see argv.h. */
#include "clusterctl/lab/argv.h"

#include <stdarg.h>
#include <stdio.h>

void lab_argv_init(struct lab_argv *argv)
{
    *argv = (struct lab_argv){0};
    ray_arena_init(&argv->arena, LAB_ARGV_SIZE_MAX);
}

void lab_argv_fini(struct lab_argv *argv)
{
    ray_arena_fini(&argv->arena);
    *argv = (struct lab_argv){0};
}

static void push_text(struct lab_argv *argv, const char *text)
{
    if (text == NULL || argv->count == LAB_ARGV_COUNT_MAX) {
        argv->has_failed = true;
        return;
    }
    argv->items[argv->count++] = text;
}

__attribute__((format(printf, 2, 0))) static void push_format(struct lab_argv *argv,
                                                              const char *fmt, va_list ap)
{
    va_list again;
    char *text;
    int size;

    va_copy(again, ap);
    size = vsnprintf(NULL, 0, fmt, again);
    va_end(again);
    text = size < 0 ? NULL : ray_arena_alloc(&argv->arena, (size_t)size + 1);
    if (text != NULL) {
        (void)vsnprintf(text, (size_t)size + 1, fmt, ap);
    }
    push_text(argv, text);
}

void lab_argv_push(struct lab_argv *argv, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    push_format(argv, fmt, ap);
    va_end(ap);
}

void lab_argv_pair(struct lab_argv *argv, const char *flag, const char *fmt, ...)
{
    va_list ap;

    push_text(argv, ray_arena_printf(&argv->arena, "%s", flag));
    va_start(ap, fmt);
    push_format(argv, fmt, ap);
    va_end(ap);
}

int lab_argv_check(const struct lab_argv *argv, struct ray_err *err)
{
    if (argv->count == LAB_ARGV_COUNT_MAX) {
        return ray_fail(err, RAY_ETOOBIG, "more than %d arguments", LAB_ARGV_COUNT_MAX - 1);
    }
    if (argv->has_failed) {
        return ray_fail(err, RAY_ENOMEM, "argument list");
    }
    return RAY_OK;
}
