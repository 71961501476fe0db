#include "node/hello/server.h"

#include <string.h>

#include "node/init/system/boot_facts.h"
#include "node/init/system/net_lease.h"

#define WORD "rayos.boot"

static int parse_remote(const char *text, struct ray_http_origin *out, struct ray_err *err)
{
    struct ray_http_origin origin;
    int rc = ray_http_origin_parse(text, strlen(text), &origin, err);

    if (rc != RAY_OK) {
        return rc;
    }
    if (!ray_http_origin_is_remote(&origin)) {
        return ray_fail(err, RAY_EMALFORMED, "%s is no address of another machine", text);
    }
    *out = origin;
    return RAY_OK;
}

static int find_in_cmdline(const char *text, size_t size, struct ray_http_origin *out,
                           struct ray_err *err)
{
    struct init_cmdline cmdline;
    const char *value;
    int rc;

    if (text == NULL) {
        return RAY_ENOTFOUND;
    }
    rc = init_cmdline_parse(text, size, &cmdline, err);
    if (rc != RAY_OK) {
        return rc;
    }
    value = init_cmdline_value(&cmdline, WORD);
    if (value == NULL) {
        return RAY_ENOTFOUND;
    }
    rc = parse_remote(value, out, err);
    return rc == RAY_OK ? RAY_OK : ray_wrap(err, rc, WORD "=");
}

static int find_in_lease(const char *text, size_t size, struct ray_http_origin *out,
                         struct ray_err *err)
{
    struct init_lease lease;
    int rc;

    if (text == NULL) {
        return RAY_ENOTFOUND;
    }
    rc = init_lease_parse(text, size, &lease, err);
    if (rc != RAY_OK) {
        return rc;
    }
    return lease.boot_server[0] == '\0' ? RAY_ENOTFOUND : parse_remote(lease.boot_server, out, err);
}

int hello_server_find(const char *cmdline, size_t cmdline_size, const char *lease,
                      size_t lease_size, struct hello_server *out, struct ray_err *err)
{
    struct hello_server server = {.source = HELLO_SERVER_COMMAND_LINE};
    struct ray_err word_err = {0};
    struct ray_err lease_err = {0};
    int word_rc = find_in_cmdline(cmdline, cmdline_size, &server.origin, &word_err);
    int lease_rc;

    if (word_rc == RAY_OK) {
        *out = server;
        return RAY_OK;
    }
    server.source = HELLO_SERVER_DHCP;
    lease_rc = find_in_lease(lease, lease_size, &server.origin, &lease_err);
    if (lease_rc == RAY_OK) {
        *out = server;
        return RAY_OK;
    }
    if (word_rc != RAY_ENOTFOUND) {
        return ray_fail(err, RAY_EMALFORMED, "%s", word_err.text);
    }
    if (lease_rc != RAY_ENOTFOUND) {
        return ray_fail(err, RAY_EMALFORMED, "%s", lease_err.text);
    }
    return ray_fail(err, RAY_ENOTFOUND, "neither " WORD "= nor DHCP names a boot server");
}

const char *hello_server_source_text(enum hello_server_source source)
{
    return source == HELLO_SERVER_COMMAND_LINE ? "command line" : "DHCP";
}
