#include "node/core/core_line.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/err.h"

#define LINE_BEGIN "rayos-core: crash what="
#define LINE_SIGNAL " signal="

static bool is_word_byte(char byte)
{
    return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
           (byte >= '0' && byte <= '9') || byte == '.' || byte == '_' || byte == '-';
}

void core_word(char *out, size_t out_size, const char *text)
{
    size_t size = 0;

    assert(out_size >= 2);
    for (; text[size] != '\0' && size + 1 < out_size; size++) {
        out[size] = text[size];
        if (!is_word_byte(text[size])) {
            out[size] = '_';
        }
    }
    if (size == 0 || out[0] == '.') {
        out[0] = '_'; /* no hidden folders, and none of the two that every folder has */
        size = size == 0 ? 1 : size;
    }
    out[size] = '\0';
}

void core_signal_name(char out[static CORE_SIGNAL_SIZE_MAX], int signum)
{
    const char *name = sigabbrev_np(signum);

    if (name != NULL) {
        (void)snprintf(out, CORE_SIGNAL_SIZE_MAX, "SIG%s", name);
    } else {
        (void)snprintf(out, CORE_SIGNAL_SIZE_MAX, "SIG%d", signum);
    }
}

const char *core_keep_word(enum core_keep keep)
{
    static const char *const words[] = {
        [CORE_KEEP_NOTHING] = "nothing",
        [CORE_KEEP_INFO] = "info",
        [CORE_KEEP_MEMORY] = "memory",
    };

    return words[keep];
}

size_t core_line_format(char out[static CORE_LINE_SIZE_MAX], const char *what, int signum,
                        enum core_keep keep, uint64_t pid, uint64_t uncounted, const char *note)
{
    char word[CORE_WHAT_SIZE_MAX];
    char signal[CORE_SIGNAL_SIZE_MAX];
    char clean[256];
    int size;

    core_word(word, sizeof word, what);
    core_signal_name(signal, signum);
    (void)ray_escape(clean, sizeof clean, note != NULL ? note : "",
                     note != NULL ? strlen(note) : 0);
    /* <11>: facility "user", priority "error": a crash is worth a line of its own on disk. */
    size = snprintf(
        out, CORE_LINE_SIZE_MAX,
        "<11>" LINE_BEGIN "%s" LINE_SIGNAL "%s kept=%s pid=%" PRIu64 " uncounted=%" PRIu64 "%s%s\n",
        word, signal, core_keep_word(keep), pid, uncounted, clean[0] != '\0' ? " " : "", clean);
    assert(size > 0 && size < CORE_LINE_SIZE_MAX);
    return (size_t)size;
}

/* A word that ends at a space or at the end of the text. */
static bool take_word(const char **at, const char *end, char *out, size_t out_size)
{
    size_t size = 0;

    while (*at + size < end && is_word_byte((*at)[size])) {
        size++;
    }
    if (size == 0 || size >= out_size || (*at + size < end && (*at)[size] != ' ')) {
        return false;
    }
    memcpy(out, *at, size);
    out[size] = '\0';
    *at += size;
    return true;
}

static bool skip(const char **at, const char *end, const char *expected)
{
    size_t size = strlen(expected);

    if ((size_t)(end - *at) < size || memcmp(*at, expected, size) != 0) {
        return false;
    }
    *at += size;
    return true;
}

bool core_line_parse(const char *text, size_t size, struct core_line *out)
{
    const char *end = text + size;
    struct core_line line;

    if (!skip(&text, end, LINE_BEGIN) || !take_word(&text, end, line.what, sizeof line.what) ||
        !skip(&text, end, LINE_SIGNAL) || !take_word(&text, end, line.signal, sizeof line.signal)) {
        return false;
    }
    *out = line;
    return true;
}
