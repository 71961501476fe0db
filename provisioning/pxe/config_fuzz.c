/* A configuration: what passes the checks makes lines for dnsmasq that hold no other line. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "provisioning/pxe/dnsmasq_config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct provision_config *config)
{
    struct ray_buf buf;

    ray_buf_init(&buf, 1 << 20);
    if (provision_dnsmasq_config(&buf, config, "/state", NULL) != RAY_OK ||
        memchr(buf.data, '\0', buf.size) != NULL || strstr(ray_buf_text(&buf), "\n\n") != NULL ||
        strstr(ray_buf_text(&buf), "\ndhcp-script") != NULL) {
        abort();
    }
    ray_buf_fini(&buf);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct provision_config *config = malloc(sizeof(*config));
    char *text = malloc(size + 1);

    if (config != NULL && text != NULL) {
        memcpy(text, data, size);
        text[size] = '\0';
        provision_config_init(config);
        if (provision_config_parse(config, text, NULL) == RAY_OK &&
            provision_config_check(config, NULL) == RAY_OK &&
            provision_mode_has_dnsmasq(config->mode)) {
            check(config);
        }
    }
    free(config);
    free(text);
    return 0;
}
