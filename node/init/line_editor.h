/* node/init/line_editor.h - one line typed at a terminal in raw mode.
 *
 * Understands printable ASCII, backspace, Ctrl-U (clear), Ctrl-C (abandon), Enter; skips
 * escape sequences and everything else.
 * Memory: fixed.  Threads: one owner.  Blocks: never.
 * Trust: a serial line may be noise: any bytes are fine, in any order. */
#ifndef RAY_NODE_INIT_LINE_EDITOR_H
#define RAY_NODE_INIT_LINE_EDITOR_H

#include <stddef.h>

enum {
    LINE_EDITOR_SIZE_MAX = 128, /* with NUL */
    LINE_EDITOR_ECHO_SIZE_MAX = 8 + 3 * LINE_EDITOR_SIZE_MAX,
};

enum line_editor_result {
    LINE_EDITOR_MORE,
    LINE_EDITOR_ENTERED,   /* `line` is complete; the next feed begins a new one */
    LINE_EDITOR_ABANDONED, /* Ctrl-C */
};

struct line_editor {
    char line[LINE_EDITOR_SIZE_MAX];
    size_t size;
    enum { LINE_EDITOR_PLAIN, LINE_EDITOR_ESCAPE, LINE_EDITOR_SEQUENCE } state;
    char previous; /* so that CR LF is one Enter */
    int is_finished;
};

void line_editor_reset(struct line_editor *editor);

/* One byte. `echo` gets what the terminal shall show, terminated, its length in *echo_size. */
enum line_editor_result line_editor_feed(struct line_editor *editor, char byte,
                                         char echo[static LINE_EDITOR_ECHO_SIZE_MAX],
                                         size_t *echo_size);

#endif
