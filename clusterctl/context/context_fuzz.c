/* context_fuzz.c - any text; what is a context comes out of it again as it went in. */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "clusterctl/context/context.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct context context;
    struct context again;
    char *text = NULL;
    size_t text_size = 0;

    if (context_parse((const char *)data, size, &context, NULL) != RAY_OK) {
        return 0;
    }
    /* What was read need not fit where it is written with more space. */
    if (context_format(&context, &text, &text_size, NULL) != RAY_OK) {
        abort();
    }
    if (text_size <= CONTEXT_SIZE_MAX && (context_parse(text, text_size, &again, NULL) != RAY_OK ||
                                          memcmp(&context, &again, sizeof context) != 0)) {
        abort();
    }
    free(text);
    return 0;
}
