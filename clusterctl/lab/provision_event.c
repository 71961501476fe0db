/* clusterctl/lab/provision_event.c - see provision_event.h. */
#include "clusterctl/lab/provision_event.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <yyjson.h>

static const char *const kind_names[LAB_PROVISION_OTHER] = {
    [LAB_PROVISION_LISTENING] = "listening",
    [LAB_PROVISION_DHCP_DISCOVER] = "dhcp-discover",
    [LAB_PROVISION_DHCP_OFFER] = "dhcp-offer",
    [LAB_PROVISION_DHCP_ACK] = "dhcp-ack",
    [LAB_PROVISION_TFTP] = "tftp",
    [LAB_PROVISION_SCRIPT] = "script",
    [LAB_PROVISION_HTTP_START] = "http-start",
    [LAB_PROVISION_HTTP_DONE] = "http-done",
    [LAB_PROVISION_REFUSED] = "refused",
    [LAB_PROVISION_ERROR] = "error",
};

static enum lab_provision_kind kind_of(const char *name)
{
    for (int i = 0; i < LAB_PROVISION_OTHER; i++) {
        if (strcmp(kind_names[i], name) == 0) {
            return (enum lab_provision_kind)i;
        }
    }
    return LAB_PROVISION_OTHER;
}

/* A text field, escaped and cut; empty when it is missing or no text. */
static void text_field(yyjson_val *root, const char *key, char *out, size_t out_size)
{
    yyjson_val *value = yyjson_obj_get(root, key);

    out[0] = '\0';
    if (yyjson_is_str(value)) {
        (void)ray_escape(out, out_size, yyjson_get_str(value), yyjson_get_len(value));
    }
}

/* False: it has no time or no name. */
static bool read_fields(yyjson_val *root, struct lab_provision_event *out)
{
    yyjson_val *t_us = yyjson_obj_get(root, "t_us");

    text_field(root, "event", out->name, sizeof out->name);
    if (!yyjson_is_uint(t_us) || out->name[0] == '\0') {
        return false;
    }
    out->kind = kind_of(out->name);
    out->t_us = yyjson_get_uint(t_us);
    out->size_bytes = yyjson_get_uint(yyjson_obj_get(root, "bytes"));
    text_field(root, "mac", out->mac, sizeof out->mac);
    text_field(root, "ip", out->ip, sizeof out->ip);
    text_field(root, "detail", out->detail, sizeof out->detail);
    for (char *at = out->mac; *at != '\0'; at++) {
        *at = (char)tolower((unsigned char)*at);
    }
    return true;
}

int lab_provision_event_parse(const char *line, size_t size, struct lab_provision_event *out,
                              struct ray_err *err)
{
    struct lab_provision_event event = {0};
    yyjson_doc *doc = yyjson_read(line, size, 0);
    bool is_event = read_fields(yyjson_doc_get_root(doc), &event);

    yyjson_doc_free(doc);
    if (!is_event) {
        char shown[80];

        (void)ray_escape(shown, sizeof shown, line, size);
        return ray_fail(err, RAY_EMALFORMED, "not an event of rayos-provision: %s", shown);
    }
    *out = event;
    return RAY_OK;
}

bool lab_provision_event_ends_download(const struct lab_provision_event *event)
{
    static const char kernel[] = "vmlinuz"; /* and how long it took */

    return event->kind == LAB_PROVISION_HTTP_DONE &&
           strncmp(event->detail, kernel, sizeof kernel - 1) != 0;
}
