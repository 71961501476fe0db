/* words.c - the words of record.h's tables and back. */
#include <string.h>

#include "base/size.h"
#include "provisioning/machines/assign.h"
#include "provisioning/machines/record.h"

static const char *const event_words[] = {
#define EVENT_WORD(id, word, explanation) [PROVISION_RECORD_EVENT_##id] = (word),
    PROVISION_RECORD_EVENT_MAP(EVENT_WORD)
#undef EVENT_WORD
};

static const char *const outcome_words[] = {
#define OUTCOME_WORD(id, word) [PROVISION_OUTCOME_##id] = (word),
    PROVISION_OUTCOME_MAP(OUTCOME_WORD)
#undef OUTCOME_WORD
};

static const char *const wish_words[] = {
#define WISH_WORD(id, word) [PROVISION_WISH_##id] = (word),
    PROVISION_WISH_MAP(WISH_WORD)
#undef WISH_WORD
};

static const char *const action_words[] = {
#define ACTION_WORD(id, word) [PROVISION_ACTION_##id] = (word),
    PROVISION_ACTION_MAP(ACTION_WORD)
#undef ACTION_WORD
};

/* The index of a word, or `count`. */
static size_t find_word(const char *const *words, size_t count, const char *word)
{
    size_t i = 0;

    while (i < count && strcmp(words[i], word) != 0) {
        i++;
    }
    return i;
}

const char *provision_record_event_word(enum provision_record_event_kind kind)
{
    return event_words[kind];
}

int provision_record_event_parse(const char *word, enum provision_record_event_kind *out)
{
    size_t i = find_word(event_words, RAY_ARRAY_COUNT(event_words), word);

    if (i == RAY_ARRAY_COUNT(event_words)) {
        return RAY_EINVAL;
    }
    *out = (enum provision_record_event_kind)i;
    return RAY_OK;
}

const char *provision_outcome_word(enum provision_outcome outcome)
{
    return outcome_words[outcome];
}

int provision_outcome_parse(const char *word, enum provision_outcome *out)
{
    size_t i = find_word(outcome_words, RAY_ARRAY_COUNT(outcome_words), word);

    if (i == RAY_ARRAY_COUNT(outcome_words)) {
        return RAY_EINVAL;
    }
    *out = (enum provision_outcome)i;
    return RAY_OK;
}

const char *provision_wish_word(enum provision_wish wish)
{
    return wish_words[wish];
}

int provision_wish_parse(const char *word, enum provision_wish *out)
{
    size_t i = find_word(wish_words, RAY_ARRAY_COUNT(wish_words), word);

    if (i == RAY_ARRAY_COUNT(wish_words)) {
        return RAY_EINVAL;
    }
    *out = (enum provision_wish)i;
    return RAY_OK;
}

const char *provision_action_word(enum provision_action action)
{
    return action_words[action];
}
