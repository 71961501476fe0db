/* net/words.h - bytes as words that people can read aloud: one of 256 words for each byte.
 *
 * The list is part of the contract: its order never changes.
 * Memory: none.  Threads: any.  Blocks: never.  Trust: parse takes what people type. */
#ifndef RAY_NET_WORDS_H
#define RAY_NET_WORDS_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

enum {
    RAY_WORD_SIZE_MAX = 8, /* longest word, with NUL */
    RAY_WORDS_COUNT = 8,   /* of a fingerprint: its first 8 bytes */
    RAY_WORDS_TEXT_SIZE = RAY_WORDS_COUNT * RAY_WORD_SIZE_MAX,
};

const char *ray_word(uint8_t value);

/* RAY_WORDS_COUNT words for the first bytes, joined by '-'; returns `out`. */
char *ray_words_format(const uint8_t bytes[static RAY_WORDS_COUNT],
                       char out[static RAY_WORDS_TEXT_SIZE]);

/* `text` holds exactly `count` words between spaces or hyphens; case does not matter.
 * RAY_EINVAL: names the first thing that is no word of the list. */
int ray_words_parse(const char *text, uint8_t *out, size_t count, struct ray_err *err);

#endif
