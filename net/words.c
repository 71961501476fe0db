/* words.c - the list is sorted, every word is unique in its first three letters, and no two
 * differ by one letter only (the test checks all of that). */
#include "net/words.h"

#include <assert.h>
#include <ctype.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>

#include "base/size.h"

static const char words[256][RAY_WORD_SIZE_MAX] = {
    "acid",    "acorn",   "actor",   "agent",   "album",   "alley",   "amber",   "anchor",
    "angle",   "antler",  "apple",   "apron",   "arch",    "arrow",   "atlas",   "autumn",
    "bacon",   "badge",   "bamboo",  "banjo",   "barrel",  "basket",  "beach",   "beetle",
    "bell",    "bicycle", "birch",   "blanket", "bonus",   "border",  "bottle",  "bridge",
    "broom",   "bubble",  "bucket",  "butter",  "cabin",   "cactus",  "camel",   "candle",
    "carpet",  "castle",  "cedar",   "cello",   "chalk",   "cherry",  "chimney", "cider",
    "circus",  "clover",  "cobra",   "coffee",  "comet",   "copper",  "coral",   "cotton",
    "cousin",  "coyote",  "cradle",  "crystal", "cubic",   "curtain", "dagger",  "daisy",
    "dancer",  "denim",   "desert",  "diamond", "dinner",  "dolphin", "domino",  "dragon",
    "drum",    "eagle",   "easel",   "echo",    "eleven",  "emerald", "engine",  "envoy",
    "fabric",  "falcon",  "feather", "ferry",   "fiddle",  "filter",  "finch",   "flute",
    "forest",  "fossil",  "fox",     "galaxy",  "garden",  "gecko",   "ginger",  "giraffe",
    "glove",   "goblet",  "gorilla", "granite", "guitar",  "hammer",  "harbor",  "hazel",
    "helmet",  "heron",   "hippo",   "honey",   "hotel",   "hummus",  "hurdle",  "igloo",
    "indigo",  "insect",  "iris",    "island",  "ivory",   "jacket",  "jaguar",  "jelly",
    "jigsaw",  "jungle",  "kayak",   "kernel",  "kettle",  "kimono",  "kiwi",    "koala",
    "ladder",  "lagoon",  "lantern", "lemon",   "leopard", "lily",    "lion",    "lobster",
    "lotus",   "lunar",   "magnet",  "mammoth", "maple",   "marble",  "meadow",  "melon",
    "mirror",  "mitten",  "monkey",  "mosaic",  "motor",   "muffin",  "museum",  "napkin",
    "nectar",  "needle",  "nickel",  "noodle",  "nugget",  "oasis",   "oboe",    "ocean",
    "octopus", "olive",   "onion",   "opera",   "orbit",   "orchid",  "otter",   "oxygen",
    "oyster",  "paddle",  "panda",   "papaya",  "parrot",  "pebble",  "pencil",  "pepper",
    "piano",   "pigeon",  "pirate",  "piston",  "planet",  "plum",    "poncho",  "poppy",
    "potato",  "prism",   "pumpkin", "puzzle",  "quartz",  "quiver",  "rabbit",  "radar",
    "raisin",  "raven",   "ribbon",  "river",   "robin",   "rocket",  "ruby",    "safari",
    "salmon",  "sandal",  "saturn",  "school",  "secret",  "shadow",  "silver",  "sketch",
    "slipper", "snow",    "sofa",    "sphinx",  "spider",  "spruce",  "squid",   "statue",
    "summer",  "sunset",  "swan",    "table",   "tango",   "teapot",  "temple",  "thunder",
    "ticket",  "tiger",   "timber",  "tomato",  "topaz",   "trumpet", "tulip",   "tunnel",
    "turtle",  "unicorn", "uranium", "usher",   "vanilla", "velvet",  "village", "violin",
    "volcano", "waffle",  "wagon",   "walnut",  "whistle", "willow",  "window",  "wizard",
    "wolf",    "wombat",  "yacht",   "yellow",  "yogurt",  "zebra",   "zigzag",  "zipper",
};

const char *ray_word(uint8_t value)
{
    return words[value];
}

char *ray_words_format(const uint8_t bytes[static RAY_WORDS_COUNT],
                       char out[static RAY_WORDS_TEXT_SIZE])
{
    size_t used_size = 0;

    for (size_t i = 0; i < RAY_WORDS_COUNT; i++) {
        size_t size = strlen(words[bytes[i]]);

        assert(used_size + size + 1 <= RAY_WORDS_TEXT_SIZE);
        memcpy(out + used_size, words[bytes[i]], size);
        used_size += size;
        out[used_size++] = i + 1 < RAY_WORDS_COUNT ? '-' : '\0';
    }
    return out;
}

static int find_word(const char *text, size_t size)
{
    size_t begin = 0;
    size_t end = RAY_ARRAY_COUNT(words);

    while (begin < end) {
        size_t middle = begin + (end - begin) / 2;
        int order = strncasecmp(text, words[middle], size);

        if (order == 0 && words[middle][size] == '\0') {
            return (int)middle;
        }
        if (order <= 0) { /* a mere prefix sorts before its word */
            end = middle;
        } else {
            begin = middle + 1;
        }
    }
    return -1;
}

static bool is_separator(char c)
{
    return c == '-' || isspace((unsigned char)c) != 0;
}

int ray_words_parse(const char *text, uint8_t *out, size_t count, struct ray_err *err)
{
    uint8_t bytes[64];
    size_t found_count = 0;

    if (count > sizeof bytes) {
        return ray_fail(err, RAY_ETOOBIG, "%zu words, at most %zu", count, sizeof bytes);
    }
    for (;;) {
        size_t size = 0;
        int value;

        while (is_separator(*text)) {
            text++;
        }
        while (text[size] != '\0' && !is_separator(text[size])) {
            size++;
        }
        if (size == 0) {
            break;
        }
        if (found_count == count) {
            return ray_fail(err, RAY_EINVAL, "more than %zu words", count);
        }
        value = size < RAY_WORD_SIZE_MAX ? find_word(text, size) : -1;
        if (value < 0) {
            char shown[64];

            ray_escape(shown, sizeof shown, text, size < 32 ? size : 32);
            return ray_fail(err, RAY_EINVAL, "'%s' is not a word of the list", shown);
        }
        bytes[found_count++] = (uint8_t)value;
        text += size;
    }
    if (found_count != count) {
        return ray_fail(err, RAY_EINVAL, "%zu words, %zu are needed", found_count, count);
    }
    memcpy(out, bytes, count);
    return RAY_OK;
}
