/* read.c - every file is opened without blocking and read up to a limit; what is longer is
 * cut, since sysfs and procfs files say nothing true of their size. */
#include "node/facts/read.h"

#include <assert.h>
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <protobuf-c/protobuf-c.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <yyjson.h>

#include "base/err.h"
#include "base/fault.h"

enum { PATH_SIZE_MAX = 256 };

static bool make_path(char out[static PATH_SIZE_MAX], const char *fmt, va_list ap)
    __attribute__((format(printf, 2, 0)));

static bool make_path(char out[static PATH_SIZE_MAX], const char *fmt, va_list ap)
{
    int size = vsnprintf(out, PATH_SIZE_MAX, fmt, ap);

    return size > 0 && size < PATH_SIZE_MAX;
}

#define MAKE_PATH(path, is_good, fmt)                                                              \
    do {                                                                                           \
        va_list ap;                                                                                \
        va_start(ap, fmt);                                                                         \
        (is_good) = make_path((path), (fmt), ap);                                                  \
        va_end(ap);                                                                                \
    } while (0)

void *facts_alloc(struct facts_source *source, size_t size)
{
    void *memory = ray_arena_alloc(source->arena, size);

    if (memory == NULL) {
        source->is_out_of_memory = true;
    }
    return memory;
}

static int open_file(const struct facts_source *source, const char *path, int flags)
{
    if (ray_fault(RAY_FAULT_OPEN) != 0) {
        return -1;
    }
    return openat(source->root_fd, path, flags | O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
}

size_t facts_head(const struct facts_source *source, const char *path, char *out, size_t out_size)
{
    size_t used = 0;
    int fd;

    assert(out_size > 0);
    out[0] = '\0';
    fd = open_file(source, path, 0);
    if (fd < 0) {
        return 0;
    }
    while (used < out_size - 1) {
        ssize_t got =
            ray_fault(RAY_FAULT_READ) != 0 ? -1 : read(fd, out + used, out_size - 1 - used);

        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got <= 0) {
            break;
        }
        used += (size_t)got;
    }
    (void)close(fd); /* only read from */
    out[used] = '\0';
    return used;
}

char *facts_copy(struct facts_source *source, const char *bytes, size_t size)
{
    char escaped[FACTS_TEXT_SIZE_MAX];
    char *copy;
    size_t length;

    while (size > 0 && isspace((unsigned char)bytes[0])) {
        bytes++;
        size--;
    }
    while (size > 0 && (isspace((unsigned char)bytes[size - 1]) || bytes[size - 1] == '\0')) {
        size--;
    }
    length = ray_escape(escaped, sizeof escaped, bytes, size);
    if (length == 0) {
        return (char *)protobuf_c_empty_string;
    }
    copy = facts_alloc(source, length + 1);
    if (copy == NULL) {
        return (char *)protobuf_c_empty_string;
    }
    memcpy(copy, escaped, length + 1);
    return copy;
}

char *facts_text(struct facts_source *source, const char *fmt, ...)
{
    char path[PATH_SIZE_MAX];
    char line[FACTS_TEXT_SIZE_MAX];
    size_t size;
    bool is_good;

    MAKE_PATH(path, is_good, fmt);
    size = is_good ? facts_head(source, path, line, sizeof line) : 0;
    if (size > 0) {
        const char *end = memchr(line, '\n', size);

        size = end != NULL ? (size_t)(end - line) : size;
    }
    return facts_copy(source, line, size);
}

uint64_t facts_number(const struct facts_source *source, const char *fmt, ...)
{
    char path[PATH_SIZE_MAX];
    char line[32];
    char *end = line;
    unsigned long long number;
    bool is_good;

    MAKE_PATH(path, is_good, fmt);
    if (!is_good || facts_head(source, path, line, sizeof line) == 0 ||
        !isdigit((unsigned char)line[0])) {
        return 0;
    }
    errno = 0;
    number = strtoull(line, &end, 0);
    if (errno != 0 || (*end != '\0' && !isspace((unsigned char)*end))) {
        return 0;
    }
    return number;
}

bool facts_exists(const struct facts_source *source, const char *fmt, ...)
{
    char path[PATH_SIZE_MAX];
    bool is_good;

    MAKE_PATH(path, is_good, fmt);
    return is_good && faccessat(source->root_fd, path, F_OK, 0) == 0;
}

static bool read_link(const struct facts_source *source, const char *path, char *out,
                      size_t out_size)
{
    ssize_t size = readlinkat(source->root_fd, path, out, out_size - 1);

    out[size > 0 ? size : 0] = '\0';
    return size > 0;
}

bool facts_link(const struct facts_source *source, char *out, size_t out_size, const char *fmt, ...)
{
    char path[PATH_SIZE_MAX];
    bool is_good;

    MAKE_PATH(path, is_good, fmt);
    out[0] = '\0';
    return is_good && read_link(source, path, out, out_size);
}

char *facts_link_name(struct facts_source *source, const char *fmt, ...)
{
    char path[PATH_SIZE_MAX];
    char target[PATH_MAX];
    const char *name;
    bool is_good;

    MAKE_PATH(path, is_good, fmt);
    if (!is_good || !read_link(source, path, target, sizeof target)) {
        return (char *)protobuf_c_empty_string;
    }
    name = strrchr(target, '/');
    name = name != NULL ? name + 1 : target;
    return facts_copy(source, name, strlen(name));
}

static bool is_plain_name(const char *name)
{
    size_t size = strlen(name);

    if (size == 0 || size >= FACTS_NAME_SIZE_MAX || name[0] == '.') {
        return false;
    }
    for (size_t i = 0; i < size; i++) {
        if (!isalnum((unsigned char)name[i]) && strchr("._:-", name[i]) == NULL) {
            return false;
        }
    }
    return true;
}

/* "vda2" before "vda10". */
static int compare_names(const void *a, const void *b)
{
    return strverscmp(*(char *const *)a, *(char *const *)b);
}

size_t facts_list(struct facts_source *source, char ***out_names, const char *fmt, ...)
{
    char path[PATH_SIZE_MAX];
    const struct dirent *entry;
    char **names;
    size_t count = 0;
    bool is_good;
    DIR *dir;
    int fd;

    *out_names = NULL;
    MAKE_PATH(path, is_good, fmt);
    fd = is_good ? open_file(source, path, O_DIRECTORY) : -1;
    if (fd < 0) {
        return 0;
    }
    dir = fdopendir(fd);
    names = facts_alloc(source, FACTS_ENTRY_COUNT_MAX * sizeof *names);
    if (dir == NULL || names == NULL) {
        source->is_out_of_memory = true;
        if (dir != NULL) {
            (void)closedir(dir);
        } else {
            (void)close(fd); /* only read from */
        }
        return 0;
    }
    while (count < FACTS_ENTRY_COUNT_MAX && (entry = readdir(dir)) != NULL) {
        if (is_plain_name(entry->d_name)) {
            names[count] = ray_arena_strndup(source->arena, entry->d_name, strlen(entry->d_name));
            if (names[count] == NULL) {
                source->is_out_of_memory = true;
                break;
            }
            count++;
        }
    }
    (void)closedir(dir);
    if (count > 0) {
        qsort(names, count, sizeof *names, compare_names);
    }
    *out_names = names;
    return count;
}

yyjson_doc *facts_json(struct facts_source *source, const char *path, size_t size_max)
{
    char *text = facts_alloc(source, size_max);
    size_t size = text != NULL ? facts_head(source, path, text, size_max) : 0;

    return size > 0 ? yyjson_read(text, size, 0) : NULL;
}

char *facts_json_text(struct facts_source *source, yyjson_val *object, const char *key)
{
    yyjson_val *value = yyjson_obj_get(object, key);

    return facts_copy(source, yyjson_is_str(value) ? yyjson_get_str(value) : "",
                      yyjson_is_str(value) ? yyjson_get_len(value) : 0);
}

const char *facts_field(const char *text, const char *key, size_t *out_size)
{
    size_t key_size = strlen(key);

    while (text != NULL && *text != '\0') {
        const char *end = strchr(text, '\n');

        if (strncmp(text, key, key_size) == 0) {
            const char *value = text + key_size;

            value += strspn(value, " \t");
            if (*value == ':') {
                value += 1 + strspn(value + 1, " \t");
                *out_size = end != NULL && end > value ? (size_t)(end - value)
                            : end != NULL              ? 0
                                                       : strlen(value);
                return value;
            }
        }
        text = end != NULL ? end + 1 : NULL;
    }
    return NULL;
}
