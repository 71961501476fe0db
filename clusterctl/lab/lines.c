/* clusterctl/lab/lines.c - see lines.h.
 *
 * A small state machine over bytes: text, ESC seen, control sequence (ESC [ ... letter),
 * operating system command (ESC ] ... BEL or ESC \). A sequence that does not end within
 * ESCAPE_SIZE_MAX bytes was none: a guest must not be able to hide text for ever. */
#include "clusterctl/lab/lines.h"

#include <assert.h>

enum { ESCAPE = 0x1b, BELL = 0x07, DELETE = 0x7f, ESCAPE_SIZE_MAX = 64 };

void lab_lines_init(struct lab_lines *lines,
                    void (*on_line)(void *arg, const char *line, size_t size), void *arg)
{
    assert(on_line != NULL);
    *lines = (struct lab_lines){.on_line = on_line, .arg = arg};
}

static void give_line(struct lab_lines *lines)
{
    size_t size = lines->size;

    lines->line[size] = '\0';
    lines->size = 0;
    lines->on_line(lines->arg, lines->line, size);
}

static void feed_text(struct lab_lines *lines, uint8_t byte)
{
    if (byte == '\n') {
        give_line(lines);
        return;
    }
    if (byte == ESCAPE) {
        lines->state = LAB_LINES_ESCAPE;
        lines->escape_size = 0;
        return;
    }
    if ((byte < ' ' && byte != '\t') || byte == DELETE) {
        return;
    }
    if (lines->size == LAB_LINE_SIZE_MAX) {
        give_line(lines);
    }
    lines->line[lines->size++] = (char)byte;
}

/* One byte inside of a sequence. */
static void feed_sequence(struct lab_lines *lines, uint8_t byte)
{
    if (byte == '\n' || ++lines->escape_size > ESCAPE_SIZE_MAX) {
        lines->state = LAB_LINES_TEXT;
        feed_text(lines, byte);
        return;
    }
    switch (lines->state) {
    case LAB_LINES_ESCAPE:
        if (byte == '[') {
            lines->state = LAB_LINES_CSI;
        } else if (byte == ']') {
            lines->state = LAB_LINES_OSC;
        } else if (byte < 0x20 || byte > 0x2f) { /* else an intermediate byte: ESC ( B */
            lines->state = LAB_LINES_TEXT;
        }
        break;
    case LAB_LINES_CSI:
        if (byte >= 0x40 && byte <= 0x7e) {
            lines->state = LAB_LINES_TEXT;
        }
        break;
    case LAB_LINES_OSC:
        if (byte == BELL) {
            lines->state = LAB_LINES_TEXT;
        } else if (byte == ESCAPE) {
            lines->state = LAB_LINES_ESCAPE;
        }
        break;
    case LAB_LINES_TEXT:
        break;
    }
}

void lab_lines_feed(struct lab_lines *lines, const void *bytes, size_t size)
{
    const uint8_t *input = bytes;

    for (size_t i = 0; i < size; i++) {
        if (lines->state == LAB_LINES_TEXT) {
            feed_text(lines, input[i]);
        } else {
            feed_sequence(lines, input[i]);
        }
    }
    assert(lines->size <= LAB_LINE_SIZE_MAX);
}

void lab_lines_end(struct lab_lines *lines)
{
    if (lines->size > 0) {
        give_line(lines);
    }
    lines->state = LAB_LINES_TEXT;
}
