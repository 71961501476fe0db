/* mounts.c - fields of mountinfo (proc_pid_mountinfo(5)): id, parent, major:minor, root,
 * mount point, ...; the kernel writes blanks in them as \040. */
#include "node/facts/mounts.h"

#include <stdio.h>
#include <string.h>

enum { MOUNTINFO_SIZE = 128 << 10, SWAPS_SIZE = 4096 };

static size_t unescape(char *text)
{
    char *out = text;

    for (const char *in = text; *in != '\0'; in++) {
        bool is_octal = in[0] == '\\' && in[1] >= '0' && in[1] <= '3' && in[2] >= '0' &&
                        in[2] <= '7' && in[3] >= '0' && in[3] <= '7';

        if (is_octal) {
            *out++ = (char)((in[1] - '0') * 64 + (in[2] - '0') * 8 + (in[3] - '0'));
            in += 3;
        } else {
            *out++ = *in;
        }
    }
    *out = '\0';
    return (size_t)(out - text);
}

/* One line, which is taken apart; false when it is none of a block device. */
static bool parse_line(struct facts_source *source, char *line, struct facts_mount *out)
{
    char *save = NULL;
    char *field = strtok_r(line, " ", &save);

    for (int i = 0; i < 2 && field != NULL; i++) {
        field = strtok_r(NULL, " ", &save);
    }
    /* Two numbers of at most four and eight digits cannot overflow. */
    if (field == NULL || sscanf(field, "%4u:%8u", &out->major, &out->minor) != 2 ||
        out->major == 0) {
        return false;
    }
    (void)strtok_r(NULL, " ", &save); /* root within the file system */
    field = strtok_r(NULL, " ", &save);
    if (field == NULL) {
        return false;
    }
    out->point = facts_copy(source, field, unescape(field));
    return true;
}

void facts_mounts_read(struct facts_source *source, struct facts_mounts *out)
{
    char *text = facts_alloc(source, MOUNTINFO_SIZE);
    char *save = NULL;

    *out = (struct facts_mounts){0};
    out->entries = facts_alloc(source, FACTS_MOUNT_COUNT_MAX * sizeof *out->entries);
    out->swaps = facts_alloc(source, SWAPS_SIZE);
    if (text == NULL || out->entries == NULL || out->swaps == NULL) {
        return;
    }
    (void)facts_head(source, "proc/swaps", out->swaps, SWAPS_SIZE);
    (void)facts_head(source, "proc/self/mountinfo", text, MOUNTINFO_SIZE);
    for (char *line = strtok_r(text, "\n", &save);
         line != NULL && out->count < FACTS_MOUNT_COUNT_MAX; line = strtok_r(NULL, "\n", &save)) {
        if (parse_line(source, line, &out->entries[out->count])) {
            out->count++;
        }
    }
}

const char *facts_mounts_find(const struct facts_mounts *mounts, const char *device_number)
{
    unsigned major, minor;

    if (sscanf(device_number, "%4u:%8u", &major, &minor) != 2) {
        return NULL;
    }
    for (size_t i = 0; i < mounts->count; i++) {
        if (mounts->entries[i].major == major && mounts->entries[i].minor == minor) {
            return mounts->entries[i].point;
        }
    }
    return NULL;
}

bool facts_mounts_is_swap(const struct facts_mounts *mounts, const char *name)
{
    char wanted[FACTS_NAME_SIZE_MAX + 8];
    int size = snprintf(wanted, sizeof wanted, "/dev/%s", name);
    const char *text = mounts->swaps;

    if (size <= 0 || (size_t)size >= sizeof wanted) {
        return false;
    }
    while (text != NULL && *text != '\0') {
        const char *end = strchr(text, '\n');

        if (strncmp(text, wanted, (size_t)size) == 0 && (text[size] == ' ' || text[size] == '\t')) {
            return true;
        }
        text = end != NULL ? end + 1 : NULL;
    }
    return false;
}
