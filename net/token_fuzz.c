/* token_fuzz.c - any text; what is a token comes out of it again as it went in. */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "net/token.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ray_token *token = NULL;
    struct ray_token *again = NULL;
    char text[RAY_TOKEN_TEXT_SIZE_MAX];
    char text_again[RAY_TOKEN_TEXT_SIZE_MAX];
    int rc;

    if (ray_token_parse(&token, (const char *)data, size, NULL) != RAY_OK) {
        return 0;
    }
    ray_token_format(token, text);
    rc = ray_token_parse(&again, text, strlen(text), NULL);
    if (rc != RAY_OK) {
        abort();
    }
    ray_token_format(again, text_again);
    if (strcmp(text, text_again) != 0) {
        abort();
    }
    ray_token_destroy(token);
    ray_token_destroy(again);
    return 0;
}
