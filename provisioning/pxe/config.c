#include "provisioning/pxe/config.h"

#include <assert.h>
#include <string.h>

#include "base/size.h"
#include "provisioning/pxe/config_value.h"

enum { LINE_SIZE_MAX = 2048, KEY_SHOWN_SIZE = 120 };

static const struct {
    const char *key;
    int (*set)(struct provision_config *config, const char *key, const char *value,
               struct ray_err *err);
    const char *default_value;
} keys[] = {
#define KEY(field, key, value_name, default_value, help)                                           \
    {key, provision_value_##field, default_value},
    PROVISION_CONFIG_KEYS(KEY)
#undef KEY
};

void provision_config_init(struct provision_config *config)
{
    *config = (struct provision_config){0};
    for (size_t i = 0; i < RAY_ARRAY_COUNT(keys); i++) {
        if (keys[i].default_value != NULL) {
            int rc = keys[i].set(config, keys[i].key, keys[i].default_value, NULL);
            assert(rc == RAY_OK);
        }
    }
}

int provision_config_set(struct provision_config *config, const char *key, const char *value,
                         struct ray_err *err)
{
    char shown[KEY_SHOWN_SIZE];

    for (size_t i = 0; i < RAY_ARRAY_COUNT(keys); i++) {
        if (strcmp(keys[i].key, key) == 0) {
            return keys[i].set(config, key, value, err);
        }
    }
    (void)ray_escape(shown, sizeof(shown), key, strlen(key));
    return ray_fail(err, RAY_EUSAGE, "unknown key '%s'", shown);
}

/* Cuts white space from both ends. */
static char *trim(char *text)
{
    size_t size;

    text += strspn(text, " \t\r");
    size = strlen(text);
    while (size > 0 && strchr(" \t\r", text[size - 1]) != NULL) {
        size--;
    }
    text[size] = '\0';
    return text;
}

static int parse_line(struct provision_config *config, char *line, struct ray_err *err)
{
    char *text = trim(line);
    char *equals = strchr(text, '=');

    if (*text == '\0' || *text == '#') {
        return RAY_OK;
    }
    if (equals == NULL) {
        return ray_fail(err, RAY_EUSAGE, "expected 'key = value'");
    }
    *equals = '\0';
    return provision_config_set(config, trim(text), trim(equals + 1), err);
}

int provision_config_parse(struct provision_config *config, const char *text, struct ray_err *err)
{
    for (size_t number = 1; *text != '\0'; number++) {
        size_t size = strcspn(text, "\n");
        char line[LINE_SIZE_MAX];
        int rc;

        if (size >= sizeof(line)) {
            rc = ray_fail(err, RAY_EUSAGE, "longer than %d bytes", LINE_SIZE_MAX - 1);
        } else {
            memcpy(line, text, size);
            line[size] = '\0';
            rc = parse_line(config, line, err);
        }
        if (rc != RAY_OK) {
            return ray_wrap(err, rc, "line %zu", number);
        }
        text += size + (text[size] == '\n');
    }
    return RAY_OK;
}

const char *provision_mode_word(enum provision_mode mode)
{
    static const char *const words[] = {[PROVISION_MODE_NONE] = "none",
                                        [PROVISION_MODE_DHCP] = "dhcp",
                                        [PROVISION_MODE_PROXY] = "proxy",
                                        [PROVISION_MODE_HTTP] = "http"};

    return words[mode];
}

bool provision_mode_has_dnsmasq(enum provision_mode mode)
{
    return mode == PROVISION_MODE_DHCP || mode == PROVISION_MODE_PROXY;
}
