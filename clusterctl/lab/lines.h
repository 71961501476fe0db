/* clusterctl/lab/lines.h - a byte stream from a machine's console, cut into clean lines.
 *
 * Terminal control sequences and control characters are dropped (firmware paints its
 * screens with them), a carriage return before the newline too; lines above the limit come
 * out in pieces.
 * Memory: none beyond the struct.  Threads: one owner.  Blocks: never.
 * Trust: bytes from the guest; anything goes. */
#ifndef RAY_CLUSTERCTL_LAB_LINES_H
#define RAY_CLUSTERCTL_LAB_LINES_H

#include <stddef.h>
#include <stdint.h>

enum { LAB_LINE_SIZE_MAX = 1024 };

enum lab_lines_state { LAB_LINES_TEXT, LAB_LINES_ESCAPE, LAB_LINES_CSI, LAB_LINES_OSC };

struct lab_lines {
    char line[LAB_LINE_SIZE_MAX + 1];
    size_t size;
    size_t escape_size;
    enum lab_lines_state state;
    /* `line` is NUL-terminated, without newline, borrowed for the call. */
    void (*on_line)(void *arg, const char *line, size_t size);
    void *arg;
};

void lab_lines_init(struct lab_lines *lines,
                    void (*on_line)(void *arg, const char *line, size_t size), void *arg);
void lab_lines_feed(struct lab_lines *lines, const void *bytes, size_t size);
/* The stream ended: an unfinished line is given out. */
void lab_lines_end(struct lab_lines *lines);

#endif
