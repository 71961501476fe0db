#include "node/init/line_editor.h"

#include <string.h>

enum { CTRL_C = 3, BACKSPACE = 8, CTRL_U = 21, ESCAPE = 27, DELETE = 127 };

void line_editor_reset(struct line_editor *editor)
{
    *editor = (struct line_editor){.previous = editor->previous};
}

static void put(char *echo, size_t *echo_size, const char *text)
{
    size_t size = strlen(text);

    memcpy(echo + *echo_size, text, size + 1);
    *echo_size += size;
}

/* True when the byte belonged to an escape sequence: ESC, ESC [ ... letter, ESC O letter. */
static int skip_sequence(struct line_editor *editor, char byte)
{
    switch (editor->state) {
    case LINE_EDITOR_ESCAPE:
        editor->state = byte == '[' || byte == 'O' ? LINE_EDITOR_SEQUENCE : LINE_EDITOR_PLAIN;
        return byte >= 32 && byte < 127;
    case LINE_EDITOR_SEQUENCE:
        if (byte >= 64 && byte < 127) {
            editor->state = LINE_EDITOR_PLAIN;
        } else if (byte < 32 || byte == 127) {
            editor->state = LINE_EDITOR_PLAIN; /* noise: the byte counts again */
            return 0;
        }
        return 1;
    case LINE_EDITOR_PLAIN:
        break;
    }
    if (byte == ESCAPE) {
        editor->state = LINE_EDITOR_ESCAPE;
        return 1;
    }
    return 0;
}

enum line_editor_result line_editor_feed(struct line_editor *editor, char byte,
                                         char echo[static LINE_EDITOR_ECHO_SIZE_MAX],
                                         size_t *echo_size)
{
    char previous = editor->previous;

    *echo_size = 0;
    echo[0] = '\0';
    if (editor->is_finished) {
        line_editor_reset(editor);
    }
    editor->previous = byte;
    if (byte == '\n' && previous == '\r') {
        return LINE_EDITOR_MORE;
    }
    if (skip_sequence(editor, byte)) {
        return LINE_EDITOR_MORE;
    }
    if (byte == '\r' || byte == '\n') {
        editor->line[editor->size] = '\0';
        editor->is_finished = 1;
        put(echo, echo_size, "\r\n");
        return LINE_EDITOR_ENTERED;
    }
    if (byte == CTRL_C) {
        line_editor_reset(editor);
        put(echo, echo_size, "^C\r\n");
        return LINE_EDITOR_ABANDONED;
    }
    if (byte == BACKSPACE || byte == DELETE) {
        if (editor->size > 0) {
            editor->line[--editor->size] = '\0';
            put(echo, echo_size, "\b \b");
        }
    } else if (byte == CTRL_U) {
        while (editor->size > 0) {
            editor->line[--editor->size] = '\0';
            put(echo, echo_size, "\b \b");
        }
    } else if (byte >= 32 && byte < 127 && editor->size + 1 < sizeof editor->line) {
        editor->line[editor->size++] = byte;
        editor->line[editor->size] = '\0';
        echo[(*echo_size)++] = byte;
        echo[*echo_size] = '\0';
    }
    return LINE_EDITOR_MORE;
}
