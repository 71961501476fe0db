/* Values are never passed on as text: an address is parsed to its four bytes and printed
 * from them, numbers are parsed within bounds, a name is checked letter by letter. */
#include "node/init/system/net_lease.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yyjson.h>

#include "base/atomic_file.h"
#include "base/buf.h"
#include "base/fault.h"
#include "base/size.h"

enum { MTU_MIN = 576, MTU_MAX = 65535, LABEL_SIZE_MAX = 63, CONFIG_SIZE_MAX = 4096 };

/* What dhcpcd's reasons mean (dhcpcd-run-hooks(8)). STOPPED and STOP change nothing: dhcpcd
 * leaves the address where it is (option persistent). */
static const struct {
    const char *reason;
    enum init_lease_change change;
} reasons[] = {
    {"BOUND", INIT_LEASE_BOUND},   {"RENEW", INIT_LEASE_BOUND},  {"REBIND", INIT_LEASE_BOUND},
    {"REBOOT", INIT_LEASE_BOUND},  {"INFORM", INIT_LEASE_BOUND}, {"STATIC", INIT_LEASE_BOUND},
    {"EXPIRE", INIT_LEASE_LOST},   {"NAK", INIT_LEASE_LOST},     {"RELEASE", INIT_LEASE_LOST},
    {"FAIL", INIT_LEASE_LOST},     {"TIMEOUT", INIT_LEASE_LOST}, {"NOCARRIER", INIT_LEASE_LOST},
    {"DEPARTED", INIT_LEASE_LOST},
};

static const char *env_value(char *const *envp, const char *name)
{
    size_t size = strlen(name);

    for (; *envp != NULL; envp++) {
        if (strncmp(*envp, name, size) == 0 && (*envp)[size] == '=') {
            return *envp + size + 1;
        }
    }
    return NULL;
}

/* An address that a host may have or be reached at: not 0/8, loopback, multicast or above. */
static bool parse_address(const char *text, size_t size, init_address_text out)
{
    init_address_text copy;
    struct in_addr address;
    uint32_t host;

    if (size == 0 || size >= sizeof copy) {
        return false;
    }
    memcpy(copy, text, size);
    copy[size] = '\0';
    if (inet_pton(AF_INET, copy, &address) != 1) {
        return false;
    }
    host = ntohl(address.s_addr);
    if (host >> 24 == 0 || host >> 24 == 127 || host >> 24 >= 224) {
        return false;
    }
    return inet_ntop(AF_INET, &address, out, sizeof(init_address_text)) != NULL;
}

/* A list between spaces; what is no address is dropped. */
static size_t parse_addresses(const char *text, init_address_text *out, size_t count_max)
{
    size_t count = 0;

    while (text != NULL && *text != '\0' && count < count_max) {
        size_t size = strcspn(text, " ");

        if (parse_address(text, size, out[count])) {
            count++;
        }
        text += size;
        text += strspn(text, " ");
    }
    return count;
}

static bool is_domain(const char *text)
{
    size_t size = strlen(text);
    size_t label_size = 0;

    if (size == 0 || size >= INIT_LEASE_DOMAIN_SIZE_MAX) {
        return false;
    }
    for (size_t i = 0; i < size; i++) {
        char c = text[i];
        bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');

        if (c == '.') {
            if (label_size == 0) {
                return false;
            }
            label_size = 0;
            continue;
        }
        label_size++;
        if ((!is_letter && !(c == '-' && label_size > 1)) || label_size > LABEL_SIZE_MAX) {
            return false;
        }
    }
    return true;
}

/* The address of another machine, and nothing but that. */
static bool parse_boot_server(const char *text, char out[static RAY_HTTP_ORIGIN_SIZE_MAX])
{
    struct ray_http_origin origin;

    if (ray_http_origin_parse(text, strlen(text), &origin, NULL) != RAY_OK ||
        !ray_http_origin_is_remote(&origin)) {
        return false;
    }
    (void)ray_http_origin_format(&origin, out);
    return true;
}

static enum init_lease_change change_of(const char *reason)
{
    for (size_t i = 0; i < RAY_ARRAY_COUNT(reasons); i++) {
        if (strcmp(reasons[i].reason, reason) == 0) {
            return reasons[i].change;
        }
    }
    return INIT_LEASE_NOTHING;
}

static int take_address(char *const *envp, struct init_lease *lease, struct ray_err *err)
{
    const char *address = env_value(envp, "new_ip_address");
    const char *prefix = env_value(envp, "new_subnet_cidr");
    const char *router = env_value(envp, "new_routers");
    const char *server = env_value(envp, "new_dhcp_server_identifier");
    uint64_t prefix_value;

    if (address == NULL || !parse_address(address, strlen(address), lease->address)) {
        return ray_fail(err, RAY_EMALFORMED, "%s without a usable address", lease->reason);
    }
    if (prefix == NULL || ray_parse_u64(prefix, 1, 32, &prefix_value) != RAY_OK) {
        return ray_fail(err, RAY_EMALFORMED, "%s without a usable prefix", lease->reason);
    }
    lease->prefix = (uint8_t)prefix_value;
    (void)parse_addresses(router, &lease->gateway, 1); /* else "": no gateway */
    (void)parse_addresses(server, &lease->server, 1);
    return RAY_OK;
}

int init_lease_from_env(char *const *envp, enum init_lease_change *out_change,
                        struct init_lease *out, struct ray_err *err)
{
    const char *reason = env_value(envp, "reason");
    const char *domain = env_value(envp, "new_domain_name");
    const char *mtu = env_value(envp, "new_interface_mtu");
    const char *boot_server = env_value(envp, "new_rayos_boot");
    struct init_lease lease = {0};
    enum init_lease_change change;
    uint64_t mtu_value;
    int rc;

    if (reason == NULL) {
        return ray_fail(err, RAY_EMALFORMED, "no reason given");
    }
    change = change_of(reason);
    if (change != INIT_LEASE_NOTHING) {
        (void)snprintf(lease.reason, sizeof lease.reason, "%s", reason);
    }
    if (change == INIT_LEASE_BOUND) {
        lease.is_bound = true;
        rc = take_address(envp, &lease, err);
        if (rc != RAY_OK) {
            return rc;
        }
        lease.dns_count = parse_addresses(env_value(envp, "new_domain_name_servers"), lease.dns,
                                          INIT_LEASE_SERVER_COUNT_MAX);
        lease.ntp_count = parse_addresses(env_value(envp, "new_ntp_servers"), lease.ntp,
                                          INIT_LEASE_SERVER_COUNT_MAX);
        if (domain != NULL && is_domain(domain)) {
            (void)snprintf(lease.domain, sizeof lease.domain, "%s", domain);
        }
        if (mtu != NULL && ray_parse_u64(mtu, MTU_MIN, MTU_MAX, &mtu_value) == RAY_OK) {
            lease.mtu = (uint32_t)mtu_value;
        }
        if (boot_server != NULL) {
            (void)parse_boot_server(boot_server, lease.boot_server); /* else "": none */
        }
    }
    *out_change = change;
    *out = lease;
    return RAY_OK;
}

static bool add_list(yyjson_mut_doc *doc, const char *key, const init_address_text *list,
                     size_t count)
{
    yyjson_mut_val *array = yyjson_mut_arr(doc);

    for (size_t i = 0; i < count; i++) {
        if (!yyjson_mut_arr_add_str(doc, array, list[i])) {
            return false;
        }
    }
    return yyjson_mut_obj_add_val(doc, yyjson_mut_doc_get_root(doc), key, array);
}

static char *to_json(const struct init_lease *lease, size_t *out_size)
{
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = yyjson_mut_obj(doc);
    char *text = NULL;

    yyjson_mut_doc_set_root(doc, root);
    if (ray_fault(RAY_FAULT_ALLOC) == 0 &&
        yyjson_mut_obj_add_bool(doc, root, "bound", lease->is_bound) &&
        yyjson_mut_obj_add_str(doc, root, "reason", lease->reason) &&
        yyjson_mut_obj_add_str(doc, root, "address", lease->address) &&
        yyjson_mut_obj_add_uint(doc, root, "prefix", lease->prefix) &&
        yyjson_mut_obj_add_str(doc, root, "gateway", lease->gateway) &&
        yyjson_mut_obj_add_str(doc, root, "server", lease->server) &&
        add_list(doc, "dns", lease->dns, lease->dns_count) &&
        add_list(doc, "ntp", lease->ntp, lease->ntp_count) &&
        yyjson_mut_obj_add_str(doc, root, "domain", lease->domain) &&
        yyjson_mut_obj_add_uint(doc, root, "mtu", lease->mtu) &&
        yyjson_mut_obj_add_str(doc, root, "boot_server", lease->boot_server)) {
        text = yyjson_mut_write(doc, YYJSON_WRITE_PRETTY | YYJSON_WRITE_NEWLINE_AT_END, out_size);
    }
    yyjson_mut_doc_free(doc);
    return text;
}

int init_lease_write(int root_fd, const struct init_lease *lease, struct ray_err *err)
{
    size_t size = 0;
    char *text = to_json(lease, &size);
    int rc;

    if (text == NULL) {
        return ray_fail(err, RAY_ENOMEM, "lease as JSON");
    }
    rc = ray_make_dirs(root_fd, "run/rayos", 0755, err);
    if (rc == RAY_OK) {
        rc = ray_atomic_write(root_fd, INIT_LEASE_FILE, text, size, 0644, err);
    }
    free(text);
    return rc;
}

/* `key` as text that fits; "" when absent. */
static bool read_text(yyjson_val *root, const char *key, char *out, size_t out_size)
{
    const char *text = yyjson_get_str(yyjson_obj_get(root, key));

    if (text == NULL || strlen(text) >= out_size) {
        return false;
    }
    memcpy(out, text, strlen(text) + 1);
    return true;
}

/* An address, or "" when it may be absent. */
static bool read_address(yyjson_val *value, init_address_text out, bool may_be_empty)
{
    const char *text = yyjson_get_str(value);

    if (text == NULL) {
        return false;
    }
    if (text[0] == '\0') {
        out[0] = '\0';
        return may_be_empty;
    }
    return parse_address(text, strlen(text), out);
}

/* Absent and "" are none. */
static bool read_boot_server(yyjson_val *value, char out[static RAY_HTTP_ORIGIN_SIZE_MAX])
{
    const char *text = yyjson_get_str(value);

    return value == NULL || (text != NULL && (text[0] == '\0' || parse_boot_server(text, out)));
}

static bool read_list(yyjson_val *array, init_address_text *out, size_t *out_count)
{
    yyjson_arr_iter iter;
    yyjson_val *value;
    size_t count = 0;

    if (!yyjson_arr_iter_init(array, &iter)) {
        return false;
    }
    while ((value = yyjson_arr_iter_next(&iter)) != NULL) {
        if (count == INIT_LEASE_SERVER_COUNT_MAX || !read_address(value, out[count], false)) {
            return false;
        }
        count++;
    }
    *out_count = count;
    return true;
}

static bool from_json(yyjson_val *root, struct init_lease *out)
{
    uint64_t prefix = yyjson_get_uint(yyjson_obj_get(root, "prefix"));
    uint64_t mtu = yyjson_get_uint(yyjson_obj_get(root, "mtu"));

    out->is_bound = yyjson_get_bool(yyjson_obj_get(root, "bound"));
    if (prefix > 32 || (out->is_bound && prefix == 0) || mtu > MTU_MAX) {
        return false;
    }
    out->prefix = (uint8_t)prefix;
    out->mtu = (uint32_t)mtu;
    return read_text(root, "reason", out->reason, sizeof out->reason) &&
           read_address(yyjson_obj_get(root, "address"), out->address, !out->is_bound) &&
           read_address(yyjson_obj_get(root, "gateway"), out->gateway, true) &&
           read_address(yyjson_obj_get(root, "server"), out->server, true) &&
           read_list(yyjson_obj_get(root, "dns"), out->dns, &out->dns_count) &&
           read_list(yyjson_obj_get(root, "ntp"), out->ntp, &out->ntp_count) &&
           read_text(root, "domain", out->domain, sizeof out->domain) &&
           (out->domain[0] == '\0' || is_domain(out->domain)) &&
           read_boot_server(yyjson_obj_get(root, "boot_server"), out->boot_server);
}

int init_lease_parse(const char *text, size_t size, struct init_lease *out, struct ray_err *err)
{
    struct init_lease lease = {0};
    yyjson_doc *doc;
    bool is_lease;

    if (size > INIT_LEASE_FILE_SIZE_MAX) {
        return ray_fail(err, RAY_EMALFORMED, "lease of %zu bytes, at most %d", size,
                        INIT_LEASE_FILE_SIZE_MAX);
    }
    doc = ray_fault(RAY_FAULT_ALLOC) != 0 ? NULL : yyjson_read(text, size, 0);
    is_lease = doc != NULL && from_json(yyjson_doc_get_root(doc), &lease);
    yyjson_doc_free(doc);
    if (!is_lease) {
        return ray_fail(err, RAY_EMALFORMED, "/" INIT_LEASE_FILE " is not a lease");
    }
    *out = lease;
    return RAY_OK;
}

int init_lease_read(int root_fd, struct init_lease *out, struct ray_err *err)
{
    uint8_t *data = NULL;
    size_t size = 0;
    int rc;

    rc = ray_file_read(root_fd, INIT_LEASE_FILE, INIT_LEASE_FILE_SIZE_MAX, &data, &size, err);
    if (rc == RAY_OK) {
        rc = init_lease_parse((const char *)data, size, out, err);
        free(data);
    }
    return rc;
}

int init_lease_write_resolv(int root_fd, const struct init_lease *lease, struct ray_err *err)
{
    struct ray_buf text;
    int rc;

    ray_buf_init(&text, CONFIG_SIZE_MAX);
    rc = ray_buf_appendf(&text, "# written by rayos-init from DHCP\n");
    if (rc == RAY_OK && lease->domain[0] != '\0') {
        rc = ray_buf_appendf(&text, "search %s\n", lease->domain);
    }
    for (size_t i = 0; rc == RAY_OK && i < lease->dns_count; i++) {
        rc = ray_buf_appendf(&text, "nameserver %s\n", lease->dns[i]);
    }
    rc = rc != RAY_OK
             ? ray_fail(err, rc, "resolv.conf: %s", ray_err_text(rc))
             : ray_atomic_write(root_fd, "etc/resolv.conf", text.data, text.size, 0644, err);
    ray_buf_fini(&text);
    return rc;
}

int init_lease_write_ntp_sources(int root_fd, const struct init_lease *lease, struct ray_err *err)
{
    struct ray_buf text;
    int rc = RAY_OK;

    ray_buf_init(&text, CONFIG_SIZE_MAX);
    for (size_t i = 0; rc == RAY_OK && i < lease->ntp_count; i++) {
        rc = ray_buf_appendf(&text, "server %s iburst\n", lease->ntp[i]);
    }
    rc = rc != RAY_OK ? ray_fail(err, rc, "chrony.sources: %s", ray_err_text(rc))
                      : ray_atomic_write(root_fd, INIT_LEASE_NTP_FILE, ray_buf_text(&text),
                                         text.size, 0644, err);
    ray_buf_fini(&text);
    return rc;
}

bool init_lease_has_same_ntp(const struct init_lease *a, const struct init_lease *b)
{
    if (a->ntp_count != b->ntp_count) {
        return false;
    }
    for (size_t i = 0; i < a->ntp_count; i++) {
        if (strcmp(a->ntp[i], b->ntp[i]) != 0) {
            return false;
        }
    }
    return true;
}
