/* uevent_fuzz.c - any bytes as an event, and as a uevent file. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "node/init/system/uevent.h"

static void touch(const char *text)
{
    if (text != NULL) {
        assert(strlen(text) < (size_t)INIT_UEVENT_SIZE_MAX * 64);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct init_uevent event;
    char *text;

    if (init_uevent_parse(data, size, &event, NULL) == RAY_OK) {
        assert(event.action != NULL && event.devpath != NULL && event.devpath[0] == '/');
        touch(event.subsystem);
        touch(event.modalias);
        touch(event.devname);
        touch(event.partname);
        touch(event.interface);
    }
    text = malloc(size + 1);
    if (text == NULL) {
        return 0;
    }
    memcpy(text, data, size);
    text[size] = '\0';
    if (init_uevent_parse_file(text, size, "/x", &event, NULL) == RAY_OK) {
        touch(event.devname);
        touch(event.partname);
    }
    free(text);
    return 0;
}
