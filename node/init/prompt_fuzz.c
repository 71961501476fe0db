/* The way of a typed byte: line editor, then command parser. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "node/init/line_editor.h"
#include "node/init/prompt_command.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct line_editor editor = {0};
    char echo[LINE_EDITOR_ECHO_SIZE_MAX];

    for (size_t i = 0; i < size; i++) {
        size_t echo_size;
        struct prompt_command command;
        struct ray_err err;

        if (line_editor_feed(&editor, (char)data[i], echo, &echo_size) == LINE_EDITOR_ENTERED) {
            assert(strlen(editor.line) == editor.size);
            if (prompt_command_parse(editor.line, &command, &err) == RAY_OK) {
                assert((size_t)command.word < PROMPT_WORD_COUNT);
                assert(strlen(command.argument) < sizeof command.argument);
                assert(command.count <= PROMPT_LOG_LINES_MAX);
            }
        }
        assert(echo_size < sizeof echo && echo[echo_size] == '\0');
    }
    return 0;
}
