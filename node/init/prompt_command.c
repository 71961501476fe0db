#include "node/init/prompt_command.h"

#include <assert.h>
#include <string.h>

#include "base/size.h"

static const struct prompt_word_info infos[PROMPT_WORD_COUNT] = {
#define PROMPT_WORD_INFO(id, word, argument, confirm, explanation)                                 \
    [PROMPT_##id] = {word, argument, confirm, explanation},
    PROMPT_WORD_MAP(PROMPT_WORD_INFO)
#undef PROMPT_WORD_INFO
};

const struct prompt_word_info *prompt_word_info(enum prompt_word word)
{
    assert((size_t)word < PROMPT_WORD_COUNT);
    return &infos[word];
}

/* Copies the next word of *line and moves behind it; false when there is none or it is too
 * long (then *line still points at it). */
static bool take_word(const char **line, char *out, size_t out_size)
{
    size_t size;

    *line += strspn(*line, " \t");
    size = strcspn(*line, " \t");
    if (size == 0 || size >= out_size) {
        return false;
    }
    memcpy(out, *line, size);
    out[size] = '\0';
    *line += size;
    return true;
}

static int find_word(const char *text, enum prompt_word *out, struct ray_err *err)
{
    if (strcmp(text, "fingerprint") == 0) {
        *out = PROMPT_WORDS;
        return RAY_OK;
    }
    for (size_t i = 0; i < PROMPT_WORD_COUNT; i++) {
        if (strcmp(infos[i].word, text) == 0) {
            *out = (enum prompt_word)i;
            return RAY_OK;
        }
    }
    return ray_fail(err, RAY_EUSAGE, "there is no word '%s'; 'help' lists them", text);
}

static int take_argument(struct prompt_command *command, const char *argument, struct ray_err *err)
{
    uint64_t count;

    switch (command->word) {
    case PROMPT_LOG:
        if (argument[0] == '\0') {
            command->count = PROMPT_LOG_LINES_DEFAULT;
            return RAY_OK;
        }
        if (ray_parse_u64(argument, 1, PROMPT_LOG_LINES_MAX, &count) != RAY_OK) {
            return ray_fail(err, RAY_EUSAGE, "log takes a number from 1 to %d",
                            PROMPT_LOG_LINES_MAX);
        }
        command->count = (uint32_t)count;
        return RAY_OK;
    case PROMPT_RESTART:
        if (argument[0] == '\0') {
            return ray_fail(err, RAY_EUSAGE, "restart what? 'services' lists them");
        }
        memcpy(command->argument, argument, strlen(argument) + 1);
        return RAY_OK;
    case PROMPT_REPAIR:
        if (argument[0] != '\0' && strcmp(argument, "force") != 0) {
            return ray_fail(err, RAY_EUSAGE, "repair takes nothing or 'force'");
        }
        command->is_forced = argument[0] != '\0';
        return RAY_OK;
    default:
        if (argument[0] != '\0') {
            return ray_fail(err, RAY_EUSAGE, "%s takes nothing behind it",
                            infos[command->word].word);
        }
        return RAY_OK;
    }
}

/* What one needs at a machine that has no network: who sits here is root to its rayosd as well. */
static bool is_node_word(const char *word)
{
    static const char *const words[] = {"approve", "confirm-off", "disk", "list", "show"};

    for (size_t i = 0; i < RAY_ARRAY_COUNT(words); i++) {
        if (strcmp(words[i], word) == 0) {
            return true;
        }
    }
    return false;
}

static int take_node(struct prompt_command *command, const char *line, struct ray_err *err)
{
    size_t used = 0;

    line += strspn(line, " \t");
    while (line[0] != '\0') {
        if (command->word_count == PROMPT_NODE_WORD_COUNT_MAX ||
            !take_word(&line, command->words + used, sizeof command->words - used)) {
            return ray_fail(err, RAY_EUSAGE, "that is too much behind 'node'");
        }
        used += strlen(command->words + used) + 1;
        command->word_count++;
        line += strspn(line, " \t");
    }
    if (command->word_count == 0 || !is_node_word(command->words)) {
        return ray_fail(err, RAY_EUSAGE,
                        "node goes on with approve, confirm-off, disk, list or "
                        "show; 'node disk list'");
    }
    return RAY_OK;
}

int prompt_command_parse(const char *line, struct prompt_command *out, struct ray_err *err)
{
    struct prompt_command command = {0};
    char word[PROMPT_ARGUMENT_SIZE_MAX];
    char argument[PROMPT_ARGUMENT_SIZE_MAX] = "";
    int rc;

    line += strspn(line, " \t");
    if (line[0] == '\0') {
        return RAY_EAGAIN;
    }
    if (!take_word(&line, word, sizeof word)) {
        return ray_fail(err, RAY_EUSAGE, "that word is too long; 'help' lists them");
    }
    rc = find_word(word, &command.word, err);
    if (rc != RAY_OK) {
        return rc;
    }
    if (command.word == PROMPT_NODE) {
        rc = take_node(&command, line, err);
        if (rc == RAY_OK) {
            *out = command;
        }
        return rc;
    }
    (void)take_word(&line, argument, sizeof argument);
    line += strspn(line, " \t");
    if (line[0] != '\0') {
        return ray_fail(err, RAY_EUSAGE, "too much behind '%s'", word);
    }
    rc = take_argument(&command, argument, err);
    if (rc == RAY_OK) {
        *out = command;
    }
    return rc;
}
