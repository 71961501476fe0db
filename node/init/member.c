/* What belongs to rayosd's user: the folder of this boot with the credential. What it may only
 * read: the node's key, by its group. Folders of the data disk are in data_disk.c. */
#include "node/init/member.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/atomic_file.h"
#include "base/size.h"
#include "net/http/origin.h"
#include "node/init/services.h"
#include "node/init/system/net_setup.h"

#define RAYOSD_PATH "/usr/lib/rayos/rayosd"

enum { CREDENTIALS_SIZE_MAX = 2 * (INIT_CREDENTIAL_SIZE_MAX + INIT_CREDENTIAL_NAME_SIZE_MAX) };
enum { KEY_MODE = S_IRUSR | S_IWUSR | S_IRGRP, KEY_FOLDER_MODE = S_IRWXU | S_IRGRP | S_IXGRP };

/* ---- the command line ---- */

static void add_word(struct init_member *member, size_t *count, const char *word)
{
    assert(*count + 1 < INIT_MEMBER_ARGC_MAX);
    member->argv[(*count)++] = word;
    member->argv[*count] = NULL;
}

static void add_option(struct init_member *member, size_t *count, const char *name,
                       const char *value)
{
    add_word(member, count, name);
    add_word(member, count, value);
}

static void make_argv(struct init_member *member)
{
    size_t count = 0;

    add_word(member, &count, RAYOSD_PATH);
    if (!member->takes_part) {
        return;
    }
    add_option(member, &count, "--listen", INIT_MEMBER_LISTEN);
    add_option(member, &count, "--interface", INIT_NET_BRIDGE);
    add_option(member, &count, "--name", member->name);
    if (member->domain[0] != '\0') {
        add_option(member, &count, "--domain", member->domain);
    }
    if (member->is_ephemeral) {
        add_word(member, &count, "--ephemeral");
    }
    if (member->metrics[0] != '\0') {
        add_option(member, &count, "--metrics", member->metrics);
    }
    if (member->seeds[0] != '\0') {
        add_option(member, &count, "--seeds", member->seeds);
    }
    if (member->has_credential) {
        add_option(member, &count, "--credential", "/" INIT_MEMBER_CREDENTIAL_FILE);
    }
}

const char *const *init_member_argv(const struct init_member *member)
{
    static const char *const plain[] = {RAYOSD_PATH, NULL};

    return member->argv[0] == NULL ? plain : member->argv;
}

/* ---- owners and modes ---- */

static int give(int dir_fd, const char *path, uid_t owner, mode_t mode, bool sets_owners,
                struct ray_err *err)
{
    int fd = openat(dir_fd, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    int rc = RAY_OK;

    if (fd < 0) {
        return ray_fail_errno(err, errno, "%s", path);
    }
    /* The owner first: chown would take bits away. */
    if ((sets_owners && fchown(fd, owner, RAYOSD_ID) != 0) || fchmod(fd, mode) != 0) {
        rc = ray_fail_errno(err, errno, "owner and mode of %s", path);
    }
    (void)close(fd); /* only read from */
    return rc;
}

static int share_key(const struct init_member_inputs *inputs, struct ray_err *err)
{
    int rc = give(inputs->data_fd, "identity/node.key", 0, KEY_MODE, inputs->sets_owners, err);

    return rc == RAY_OK
               ? give(inputs->data_fd, "identity", 0, KEY_FOLDER_MODE, inputs->sets_owners, err)
               : rc;
}

/* ---- the credential ---- */

/* Adds "NAME=VALUE\n". Without one of that name nothing. */
static int add_line(const struct init_member_inputs *inputs, const char *name, char *text,
                    size_t *size, struct ray_err *err)
{
    char value[INIT_CREDENTIAL_SIZE_MAX];
    int rc = init_credentials_text(inputs->credentials, name, value, sizeof value, err);

    if (rc == RAY_OK) {
        int added = snprintf(text + *size, CREDENTIALS_SIZE_MAX - *size, "%s=%s\n", name, value);

        *size += added > 0 ? (size_t)added : 0;
    }
    sodium_memzero(value, sizeof value);
    return rc == RAY_ENOTFOUND ? RAY_OK : rc;
}

static int write_file(const struct init_member_inputs *inputs, const char *text, size_t size,
                      struct ray_err *err)
{
    int rc =
        ray_atomic_write(inputs->root_fd, INIT_MEMBER_CREDENTIAL_FILE, text, size, S_IRUSR, err);

    return rc == RAY_OK ? give(inputs->root_fd, INIT_MEMBER_CREDENTIAL_FILE, RAYOSD_ID, S_IRUSR,
                               inputs->sets_owners, err)
                        : rc;
}

static const char *const names[] = {"rayos.create", "rayos.join"};
enum { NAME_CREATE };

/* Both go into the file when both are given: rayosd says what is wrong with that. A cluster that
 * ends with this boot is not made. */
static int write_credential(const struct init_member_inputs *inputs, struct init_member *member,
                            struct ray_err *err)
{
    char text[CREDENTIALS_SIZE_MAX];
    size_t size = 0;
    int rc = RAY_OK;

    for (size_t i = inputs->is_disk ? NAME_CREATE : NAME_CREATE + 1;
         rc == RAY_OK && i < RAY_ARRAY_COUNT(names); i++) {
        rc = add_line(inputs, names[i], text, &size, err);
    }
    if (rc == RAY_OK && size > 0) {
        rc = write_file(inputs, text, size, err);
        member->has_credential = rc == RAY_OK;
    }
    sodium_memzero(text, sizeof text);
    return rc;
}

static void forget_credentials(const struct init_member_inputs *inputs)
{
    if (!inputs->is_disk && init_credentials_find(inputs->credentials, names[NAME_CREATE])) {
        ray_log(inputs->logger, RAY_LOG_WARN, "member",
                "%s is not used: without a data disk the cluster would not last",
                names[NAME_CREATE]);
    }
    for (size_t i = 0; i < RAY_ARRAY_COUNT(names); i++) {
        init_credentials_forget(inputs->credentials, names[i]);
    }
}

/* ---- the whole ---- */

static int make_folder(const struct init_member_inputs *inputs, struct ray_err *err)
{
    int rc = ray_make_dirs(inputs->root_fd, INIT_MEMBER_FOLDER, S_IRWXU, err);

    return rc == RAY_OK ? give(inputs->root_fd, INIT_MEMBER_FOLDER, RAYOSD_ID, S_IRWXU,
                               inputs->sets_owners, err)
                        : rc;
}

static void read_word(const struct init_member_inputs *inputs, const char *name, char *out,
                      size_t out_size)
{
    struct ray_err err = {0};
    int rc = init_credentials_text(inputs->credentials, name, out, out_size, &err);

    if (rc != RAY_OK && rc != RAY_ENOTFOUND) {
        ray_log(inputs->logger, RAY_LOG_WARN, "member", "%s is not used: %s", name, err.text);
    }
}

/* By rayosd's own parser: it would not start at all with what it refuses. */
static void read_metrics(const struct init_member_inputs *inputs, struct init_member *member)
{
    char origin[sizeof "http://" + sizeof member->metrics];
    struct ray_http_origin parsed;
    struct ray_err err = {0};

    read_word(inputs, "rayos.metrics", member->metrics, sizeof member->metrics);
    (void)snprintf(origin, sizeof origin, "http://%s", member->metrics);
    if (member->metrics[0] != '\0' &&
        ray_http_origin_parse(origin, strlen(origin), &parsed, &err) != RAY_OK) {
        ray_log(inputs->logger, RAY_LOG_WARN, "member", "rayos.metrics is not used: %s", err.text);
        member->metrics[0] = '\0';
    }
}

/* What is in it rayosd looks at. */
static void take_seeds(const struct init_member_inputs *inputs, struct init_member *member)
{
    if (inputs->seeds == NULL) {
        return;
    }
    if (strlen(inputs->seeds) >= sizeof member->seeds) {
        ray_log(inputs->logger, RAY_LOG_WARN, "member",
                "rayos.seed is not used: it has more than %zu characters",
                sizeof member->seeds - 1);
        return;
    }
    (void)snprintf(member->seeds, sizeof member->seeds, "%s", inputs->seeds);
}

int init_member_prepare(const struct init_member_inputs *inputs, struct init_member *out,
                        struct ray_err *err)
{
    struct ray_err why = {0};
    int rc;

    *out = (struct init_member){.takes_part = false};
    make_argv(out);
    if (inputs->identity->state == INIT_IDENTITY_DAMAGED) {
        /* Its memberships are another key's. */
        return ray_fail(err, RAY_EUNAVAILABLE, "takes no part in a cluster: %s",
                        inputs->identity->reason);
    }
    rc = share_key(inputs, err);
    if (rc == RAY_OK) {
        rc = make_folder(inputs, err);
    }
    if (rc != RAY_OK) {
        return rc;
    }
    (void)snprintf(out->name, sizeof out->name, "%s", inputs->identity->name);
    read_word(inputs, "rayos.domain", out->domain, sizeof out->domain);
    read_metrics(inputs, out);
    take_seeds(inputs, out);
    out->is_ephemeral = !inputs->is_disk;
    if (write_credential(inputs, out, &why) != RAY_OK) {
        ray_log(inputs->logger, RAY_LOG_ERROR, "member", "the credential is not used: %s",
                why.text);
    }
    forget_credentials(inputs);
    out->takes_part = true;
    make_argv(out);
    return RAY_OK;
}

void init_member_settled(struct init_member *member, int root_fd)
{
    if (!member->has_credential) {
        return;
    }
    member->has_credential = false;
    make_argv(member);
    (void)unlinkat(root_fd, INIT_MEMBER_CREDENTIAL_FILE, 0); /* in memory: gone is gone */
}
