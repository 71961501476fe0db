/* A link is looked at until it is done: named, or found to be no card, or to be one that keeps
 * its name. Then never again, so that a name given by hand later stays. What fails for want of
 * memory or such is tried at the next change of any link, a few times. */
#include "node/init/system/net_rename.h"

#include <assert.h>
#include <linux/if_arp.h>
#include <stdlib.h>
#include <string.h>
#include <yyjson.h>

#include "base/atomic_file.h"
#include "base/fault.h"
#include "node/init/system/net_device.h"

enum { FAILURE_COUNT_MAX = 8 };

static struct init_net_named *find_named(struct init_net_namer *namer, uint32_t index)
{
    for (size_t i = 0; i < namer->count; i++) {
        if (namer->links[i].index == index) {
            return &namer->links[i];
        }
    }
    return NULL;
}

static const struct init_link *find_index(const struct init_link *links, size_t count,
                                          uint32_t index)
{
    for (size_t i = 0; i < count; i++) {
        if (links[i].index == index) {
            return &links[i];
        }
    }
    return NULL;
}

static const struct init_link *find_name(const struct init_link *links, size_t count,
                                         const char *name)
{
    for (size_t i = 0; i < count; i++) {
        if (strcmp(links[i].name, name) == 0) {
            return &links[i];
        }
    }
    return NULL;
}

/* Forgets what is gone: the kernel gives a number again only much later. */
static void forget_gone(struct init_net_namer *namer, const struct init_link *links, size_t count)
{
    size_t kept = 0;

    for (size_t i = 0; i < namer->count; i++) {
        if (find_index(links, count, namer->links[i].index) != NULL) {
            namer->links[kept++] = namer->links[i];
        } else if (namer->links[i].is_card) {
            namer->is_published = false;
        }
    }
    namer->count = kept;
}

static bool may_be_card(const struct init_net_namer *namer, const struct init_link *link)
{
    return link->hardware_type == ARPHRD_ETHER &&
           (namer->takes_software_links || (!link->has_kind && !link->has_lower));
}

/* One more failure; after the last one it stays as it is. */
static void count_failure(struct init_net_named *named)
{
    named->failure_count++;
    named->is_done = named->failure_count >= FAILURE_COUNT_MAX;
}

/* The name that is not used may be wanted by people, or by an older configuration. */
static void add_other_name(struct init_net_namer *namer, const struct init_net_names *names,
                           struct init_net_named *named)
{
    struct ray_err err = {0};

    for (size_t i = 0; i < names->count; i++) {
        if (strcmp(names->names[i], named->name) == 0) {
            continue;
        }
        if (init_netlink_add_name(namer->netlink, named->index, names->names[i], &err) == RAY_OK) {
            memcpy(named->alternative_name, names->names[i], sizeof named->alternative_name);
        } else {
            ray_log(namer->logger, RAY_LOG_INFO, "net", "card=%s: %s", named->name, err.text);
        }
        return;
    }
}

/* Asks for each name in turn. A name that is taken is no failure, all else is. */
static int choose_name(struct init_net_namer *namer, const struct init_link *links, size_t count,
                       const struct init_net_names *names, struct init_net_named *named,
                       struct ray_err *err)
{
    for (size_t i = 0; i < names->count; i++) {
        const char *name = names->names[i];
        const struct init_link *owner = find_name(links, count, name);
        int rc = RAY_EEXISTS;

        if (owner == NULL) {
            rc = init_netlink_rename(namer->netlink, named->index, name, err);
        } else if (owner->index == named->index) {
            rc = RAY_OK; /* we asked before, and the answer was lost */
        }
        if (rc == RAY_OK) {
            memcpy(named->name, name, sizeof named->name);
            return RAY_OK;
        }
        if (rc != RAY_EEXISTS) {
            return rc;
        }
        ray_log(namer->logger, RAY_LOG_WARN, "net", "card=%s cannot be %s: another link %s it",
                named->kernel_name, name, owner != NULL ? "is" : "has");
    }
    return RAY_OK;
}

static void name_card(struct init_net_namer *namer, const struct init_link *links, size_t count,
                      const struct init_net_device *device, struct init_net_named *named)
{
    struct init_net_names names;
    struct ray_err err = {0};

    init_net_names_make(device, &names);
    if (names.count == 0) {
        ray_log(namer->logger, RAY_LOG_INFO, "net", "card=%s keeps its name: %s", named->name,
                init_net_is_representor(device->port_name) ? "end of another card"
                                                           : "no known place, no permanent MAC");
        named->is_done = true;
        return;
    }
    if (choose_name(namer, links, count, &names, named, &err) != RAY_OK) {
        count_failure(named);
        ray_log(namer->logger, RAY_LOG_WARN, "net", "card=%s keeps its name%s: %s", named->name,
                named->is_done ? "" : " for now", err.text);
        return;
    }
    named->is_done = true;
    add_other_name(namer, &names, named);
    ray_log(namer->logger, RAY_LOG_NOTICE, "net", "card=%s was=%s also=%s", named->name,
            named->kernel_name, named->alternative_name);
}

static void look_at(struct init_net_namer *namer, const struct init_link *links, size_t count,
                    const struct init_link *link, struct init_net_named *named)
{
    struct init_net_device device;
    struct ray_err err = {0};
    int rc = init_net_device_read(namer->root_fd, link, &device, &err);

    if (rc != RAY_OK && rc != RAY_ENOTFOUND) {
        count_failure(named);
        ray_log(namer->logger, RAY_LOG_WARN, "net", "%s", err.text);
        return;
    }
    named->is_card = rc == RAY_OK;
    if (!named->is_card) {
        named->is_done = true;
        return;
    }
    namer->is_published = false;
    named->has_permanent_mac = device.has_permanent_mac;
    memcpy(named->permanent_mac, device.permanent_mac, INIT_MAC_SIZE);
    /* A new name under the feet of those who use it breaks more than an old one. */
    if (namer->keeps_kernel_names || link->is_up || link->master_index != 0) {
        named->is_done = true;
        return;
    }
    name_card(namer, links, count, &device, named);
}

static struct init_net_named *add_named(struct init_net_namer *namer, const struct init_link *link)
{
    struct init_net_named *named;

    if (namer->count == INIT_LINK_COUNT_MAX) {
        return NULL; /* never: there are no more links than that, and the gone were forgotten */
    }
    named = &namer->links[namer->count++];
    *named = (struct init_net_named){.index = link->index, .is_done = !may_be_card(namer, link)};
    memcpy(named->name, link->name, sizeof named->name);
    memcpy(named->kernel_name, link->name, sizeof named->kernel_name);
    return named;
}

static bool add_card(yyjson_mut_doc *doc, yyjson_mut_val *list, const struct init_net_named *named)
{
    yyjson_mut_val *card = yyjson_mut_arr_add_obj(doc, list);
    char mac[18] = "";

    if (named->has_permanent_mac) {
        (void)init_mac_format(named->permanent_mac, mac);
    }
    return card != NULL && yyjson_mut_obj_add_strcpy(doc, card, "name", named->name) &&
           yyjson_mut_obj_add_strcpy(doc, card, "kernel_name", named->kernel_name) &&
           yyjson_mut_obj_add_strcpy(doc, card, "alternative_name", named->alternative_name) &&
           yyjson_mut_obj_add_strcpy(doc, card, "permanent_mac", mac);
}

static char *to_json(const struct init_net_namer *namer, size_t *out_size)
{
    yyjson_mut_doc *doc = ray_fault(RAY_FAULT_ALLOC) != 0 ? NULL : yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = yyjson_mut_obj(doc);
    yyjson_mut_val *list = yyjson_mut_obj_add_arr(doc, root, "cards");
    bool is_built = list != NULL;
    char *text = NULL;

    for (size_t i = 0; i < namer->count && is_built; i++) {
        is_built = !namer->links[i].is_card || add_card(doc, list, &namer->links[i]);
    }
    if (is_built) {
        yyjson_mut_doc_set_root(doc, root);
        text = yyjson_mut_write(doc, YYJSON_WRITE_PRETTY | YYJSON_WRITE_NEWLINE_AT_END, out_size);
    }
    yyjson_mut_doc_free(doc);
    return text;
}

/* For people and facts: without it the network works as well. */
static void publish(struct init_net_namer *namer)
{
    struct ray_err err = {0};
    size_t size = 0;
    char *text = to_json(namer, &size);
    int rc = text != NULL ? ray_make_dirs(namer->root_fd, "run/rayos", 0755, &err)
                          : ray_fail(&err, RAY_ENOMEM, "/%s", INIT_NETWORK_FILE);

    if (rc == RAY_OK) {
        rc = ray_atomic_write(namer->root_fd, INIT_NETWORK_FILE, text, size, 0644, &err);
    }
    if (rc != RAY_OK) {
        ray_log(namer->logger, RAY_LOG_WARN, "net", "%s", err.text);
    }
    namer->is_published = rc == RAY_OK;
    free(text);
}

void init_net_namer_run(struct init_net_namer *namer, struct init_link *links, size_t count)
{
    assert(namer->netlink != NULL && count <= INIT_LINK_COUNT_MAX);
    forget_gone(namer, links, count);
    for (size_t i = 0; i < count; i++) {
        struct init_net_named *named = find_named(namer, links[i].index);

        if (named == NULL) {
            named = add_named(namer, &links[i]);
        }
        if (named == NULL || named->is_done) {
            continue;
        }
        look_at(namer, links, count, &links[i], named);
        memcpy(links[i].name, named->name, sizeof links[i].name);
    }
    if (!namer->is_published) {
        publish(namer);
    }
}
