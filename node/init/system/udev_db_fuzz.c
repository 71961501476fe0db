/* udev_db_fuzz.c - any six texts as the capabilities of an input device. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "node/init/system/udev_db.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *texts[6] = {NULL};
    struct init_input_class found = {0};
    char *text = malloc(size + 1);
    size_t count = 0;

    if (text == NULL) {
        return 0;
    }
    memcpy(text, data, size);
    text[size] = '\0';
    for (size_t at = 0; at < size && count < 6; at += strlen(text + at) + 1) {
        texts[count++] = text + at;
    }
    struct init_input_caps caps = {.ev = texts[0],
                                   .key = texts[1],
                                   .rel = texts[2],
                                   .abs = texts[3],
                                   .sw = texts[4],
                                   .properties = texts[5]};
    if (init_input_classify(&caps, &found, NULL) == RAY_OK) {
        assert(!found.is_accelerometer || !found.is_mouse);
        assert(!found.is_pointing_stick || found.is_mouse);
    }
    free(text);
    return 0;
}
