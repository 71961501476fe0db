#include "node/init/unmount.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/swap.h>

#include "base/atomic_file.h"
#include "base/fault.h"

enum { MOUNTINFO_SIZE_MAX = 4 << 20, POINT_FIELD = 5 };

/* The kernel writes space, tab, newline and backslash as \ooo. */
static size_t unescape(const char *text, size_t size, char *out, size_t out_size)
{
    size_t used = 0;

    for (size_t i = 0; i < size; i++) {
        if (used + 1 >= out_size) {
            return 0;
        }
        if (text[i] == '\\' && i + 3 < size && text[i + 1] >= '0' && text[i + 1] <= '3' &&
            text[i + 2] >= '0' && text[i + 2] <= '7' && text[i + 3] >= '0' && text[i + 3] <= '7') {
            out[used++] =
                (char)((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 + (text[i + 3] - '0'));
            i += 3;
        } else {
            out[used++] = text[i];
        }
    }
    out[used] = '\0';
    return used;
}

/* The word that begins at *at; moves *at behind it and its space. False at the end. */
static bool next_word(const char *line, size_t size, size_t *at, const char **out_word,
                      size_t *out_size)
{
    const char *space;

    if (*at >= size) {
        return false;
    }
    *out_word = line + *at;
    space = memchr(*out_word, ' ', size - *at);
    *out_size = space != NULL ? (size_t)(space - *out_word) : size - *at;
    *at += *out_size + 1;
    return true;
}

int mount_line_parse(const char *line, size_t size, struct mount_line *out)
{
    struct mount_line result = {0};
    const char *word = NULL;
    size_t word_size = 0;
    size_t at = 0;

    for (int field = 1; field <= POINT_FIELD; field++) {
        if (!next_word(line, size, &at, &word, &word_size)) {
            return RAY_EMALFORMED;
        }
    }
    if (word_size == 0 || word[0] != '/') {
        return RAY_EMALFORMED;
    }
    if (unescape(word, word_size, result.point, sizeof result.point) == 0) {
        return RAY_ETOOBIG;
    }
    /* Optional fields up to a lone "-", then the type. */
    do {
        if (!next_word(line, size, &at, &word, &word_size)) {
            return RAY_EMALFORMED;
        }
    } while (word_size != 1 || word[0] != '-');
    if (!next_word(line, size, &at, &word, &word_size) || word_size >= sizeof result.type) {
        return RAY_EMALFORMED;
    }
    memcpy(result.type, word, word_size);
    *out = result;
    return RAY_OK;
}

bool mount_is_worth_it(const struct mount_line *mount)
{
    static const char *const kernel_types[] = {
        "proc",   "sysfs",     "devtmpfs", "devpts",      "cgroup2", "securityfs", "bpf",
        "mqueue", "hugetlbfs", "pstore",   "efivarfs",    "debugfs", "tracefs",    "tmpfs",
        "rootfs", "ramfs",     "configfs", "binfmt_misc", "fusectl",
    };

    for (size_t i = 0; i < sizeof kernel_types / sizeof kernel_types[0]; i++) {
        if (strcmp(mount->type, kernel_types[i]) == 0) {
            return false;
        }
    }
    return strcmp(mount->point, "/") != 0;
}

typedef void mount_visitor(void *arg, const struct mount_line *mount);

/* Newest first: what is mounted upon something is listed behind it. */
static void visit_backwards(char *text, size_t size, mount_visitor *visit, void *arg)
{
    while (size > 0) {
        struct mount_line mount;
        const char *newline = NULL;
        size_t begin;

        if (text[size - 1] == '\n') {
            size--;
        }
        newline = size > 0 ? memrchr(text, '\n', size) : NULL;
        begin = newline != NULL ? (size_t)(newline - text) + 1 : 0;
        if (mount_line_parse(text + begin, size - begin, &mount) == RAY_OK &&
            mount_is_worth_it(&mount)) {
            visit(arg, &mount);
        }
        size = begin;
    }
}

static void visit_mounts(mount_visitor *visit, void *arg)
{
    uint8_t *text = NULL;
    size_t size = 0;

    if (ray_file_read(AT_FDCWD, "/proc/self/mountinfo", MOUNTINFO_SIZE_MAX, &text, &size, NULL) ==
        RAY_OK) {
        visit_backwards((char *)text, size, visit, arg);
        free(text);
    }
}

struct round {
    size_t unmounted_count;
    size_t left_count;
};

static void try_unmount(void *arg, const struct mount_line *mount)
{
    struct round *round = arg;

    if (ray_fault(RAY_FAULT_MOUNT) == 0 && umount2(mount->point, UMOUNT_NOFOLLOW) == 0) {
        round->unmounted_count++;
    } else {
        round->left_count++;
    }
}

static void make_readonly(void *arg, const struct mount_line *line)
{
    struct unmount_report *report = arg;

    if (ray_fault(RAY_FAULT_MOUNT) == 0 &&
        mount("none", line->point, NULL, MS_REMOUNT | MS_RDONLY, NULL) == 0) {
        report->readonly_count++;
    } else {
        (void)snprintf(report->busy, sizeof report->busy, "%s", line->point);
    }
}

void unmount_all(struct unmount_report *out)
{
    *out = (struct unmount_report){0};
    for (int i = 0; i < UNMOUNT_ROUND_COUNT_MAX; i++) {
        struct round round = {0};
        visit_mounts(try_unmount, &round);
        out->unmounted_count += round.unmounted_count;
        if (round.left_count == 0) {
            return;
        }
        if (round.unmounted_count == 0) {
            break; /* no progress */
        }
    }
    visit_mounts(make_readonly, out);
}

void swap_off_all(void)
{
    uint8_t *text = NULL;
    size_t size = 0;
    char *line;
    char *next = NULL;

    if (ray_file_read(AT_FDCWD, "/proc/swaps", 1 << 16, &text, &size, NULL) != RAY_OK) {
        return;
    }
    line = strtok_r((char *)text, "\n", &next); /* the heading */
    while (line != NULL && (line = strtok_r(NULL, "\n", &next)) != NULL) {
        line[strcspn(line, " \t")] = '\0';
        (void)swapoff(line); /* it goes down with the machine otherwise */
    }
    free(text);
}
