#include "node/init/provision.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/atomic_file.h"
#include "base/fault.h"
#include "base/size.h"
#include "node/init/init.h"

#define FOLDER "provision"
#define SERVICE "provision"

enum { REASON_SIZE_MAX = 200 };
#define DATA_PATH "/" INIT_DATA_FOLDER "/"

/* ---- the text ---- */

static int check_mode(const char *mode, struct ray_err *err)
{
    if (strcmp(mode, "dhcp") != 0 && strcmp(mode, "proxy") != 0 && strcmp(mode, "http") != 0) {
        (void)ray_fail(err, RAY_EINVAL, "no mode '%.20s'", mode);
        (void)ray_next(err, "give dhcp (it gives addresses), proxy (another server does) or http");
        return RAY_EINVAL;
    }
    return RAY_OK;
}

static int check_interface(const char *name, struct ray_err *err)
{
    size_t size = strlen(name);

    if (size == 0 || size >= IF_NAMESIZE ||
        strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") != size) {
        (void)ray_fail(err, RAY_EINVAL, "'%.20s' is no network interface", name);
        (void)ray_next(err, "give ray0, the node's own network");
        return RAY_EINVAL;
    }
    return RAY_OK;
}

static bool is_ip(const char *text)
{
    struct in_addr ip;

    return inet_pton(AF_INET, text, &ip) == 1;
}

/* "10.77.0.21/24" */
static int check_address(const char *text, struct ray_err *err)
{
    char ip[INET_ADDRSTRLEN];
    const char *slash = strchr(text, '/');
    uint64_t bits = 0;

    if (slash == NULL || (size_t)(slash - text) >= sizeof ip) {
        return ray_fail(err, RAY_EINVAL, "'%.40s' is no address like 10.77.0.1/24", text);
    }
    memcpy(ip, text, (size_t)(slash - text));
    ip[slash - text] = '\0';
    if (!is_ip(ip) || ray_parse_u64(slash + 1, 8, 30, &bits) != RAY_OK) {
        return ray_fail(err, RAY_EINVAL, "'%.40s' is no address like 10.77.0.1/24", text);
    }
    return RAY_OK;
}

/* "10.77.0.100,10.77.0.200", in mode dhcp and only there. */
static int check_range(const char *mode, const char *text, struct ray_err *err)
{
    char first[INET_ADDRSTRLEN];
    const char *comma = strchr(text, ',');

    if (strcmp(mode, "dhcp") != 0) {
        return text[0] == '\0'
                   ? RAY_OK
                   : ray_fail(err, RAY_EINVAL, "mode %s gives no addresses: no range", mode);
    }
    if (comma == NULL || (size_t)(comma - text) >= sizeof first) {
        (void)ray_fail(err, RAY_EINVAL, "mode dhcp wants a range of addresses");
        (void)ray_next(err, "give --range 10.77.0.100,10.77.0.200");
        return RAY_EINVAL;
    }
    memcpy(first, text, (size_t)(comma - text));
    first[comma - text] = '\0';
    return is_ip(first) && is_ip(comma + 1)
               ? RAY_OK
               : ray_fail(err, RAY_EINVAL, "'%.40s' is no range FIRST,LAST", text);
}

static int find_address(const char *given, const struct init_lease *lease, char out[static 40],
                        struct ray_err *err)
{
    if (given[0] != '\0') {
        (void)snprintf(out, 40, "%s", given); /* one that is too long is no address either */
        return check_address(out, err);
    }
    if (!lease->is_bound) {
        (void)ray_fail(err, RAY_ECONFLICT, "the node has no address by DHCP");
        (void)ray_next(err, "give --address IP/BITS");
        return RAY_ECONFLICT;
    }
    (void)snprintf(out, 40, "%s/%u", lease->address, lease->prefix);
    return RAY_OK;
}

int init_provision_format(const Rayos__Init__ProvisionEnableRequest *request,
                          const struct init_lease *lease,
                          char out[static INIT_PROVISION_TEXT_SIZE_MAX], struct ray_err *err)
{
    char address[40];
    int size;
    int rc = check_mode(request->mode, err);

    rc = rc == RAY_OK ? check_interface(request->interface, err) : rc;
    rc = rc == RAY_OK ? find_address(request->address, lease, address, err) : rc;
    rc = rc == RAY_OK ? check_range(request->mode, request->range, err) : rc;
    if (rc != RAY_OK) {
        return rc;
    }
    size = snprintf(out, INIT_PROVISION_TEXT_SIZE_MAX,
                    "# by 'clusterctl provision enable'\n"
                    "mode = %s\ninterface = %s\naddress = %s\n%s%s%s"
                    "state-dir = " DATA_PATH INIT_PROVISION_STATE "\nuser = rayos-provision\n",
                    request->mode, request->interface, address,
                    request->range[0] != '\0' ? "range = " : "", request->range,
                    request->range[0] != '\0' ? "\n" : "");
    return size < INIT_PROVISION_TEXT_SIZE_MAX ? RAY_OK
                                               : ray_fail(err, RAY_ETOOBIG, "values too long");
}

/* ---- the file ---- */

bool init_provision_is_enabled(int data_fd)
{
    return faccessat(data_fd, INIT_PROVISION_CONFIG, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static int give_state_folder(int data_fd, struct ray_err *err)
{
    int fd = openat(data_fd, INIT_PROVISION_STATE, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    int rc = RAY_OK;

    if (fd < 0 || fchown(fd, INIT_PROVISION_ID, INIT_PROVISION_ID) != 0) {
        rc = ray_fail_errno(err, errno, "folder " INIT_PROVISION_STATE);
    }
    if (fd >= 0) {
        (void)close(fd); /* a folder: nothing can be lost */
    }
    return rc;
}

int init_provision_write(int data_fd, const char *text, bool sets_owner, struct ray_err *err)
{
    int rc = ray_make_dirs(data_fd, INIT_PROVISION_STATE, 0755, err);

    if (rc == RAY_OK && sets_owner) {
        rc = give_state_folder(data_fd, err);
    }
    return rc == RAY_OK
               ? ray_atomic_write(data_fd, INIT_PROVISION_CONFIG, text, strlen(text), 0644, err)
               : rc;
}

int init_provision_remove(int data_fd, struct ray_err *err)
{
    int fd;
    int rc = RAY_OK;

    if (unlinkat(data_fd, INIT_PROVISION_CONFIG, 0) != 0) {
        return errno == ENOENT ? RAY_OK : ray_fail_errno(err, errno, INIT_PROVISION_CONFIG);
    }
    fd = openat(data_fd, FOLDER, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || ray_fault(RAY_FAULT_FSYNC) != 0 || fsync(fd) != 0) {
        rc = ray_fail_errno(err, errno, "folder " FOLDER);
    }
    if (fd >= 0) {
        (void)close(fd); /* a folder: nothing can be lost */
    }
    return rc;
}

/* ---- the methods ---- */

/* One call under way. */
struct work {
    uv_work_t uv;
    struct init *init;
    struct ray_rpc_call *call; /* NULL: the caller has left; the change is made all the same */
    int data_fd;               /* PID 1's own */
    bool enables;
    bool sets_owner;
    int rc;
    struct ray_err err;
    char text[INIT_PROVISION_TEXT_SIZE_MAX];
    char reason[REASON_SIZE_MAX]; /* printable */
};

static void on_cancel(void *arg)
{
    ((struct work *)arg)->call = NULL;
}

static void on_thread(uv_work_t *uv)
{
    struct work *work = uv->data;

    work->rc = work->enables
                   ? init_provision_write(work->data_fd, work->text, work->sets_owner, &work->err)
                   : init_provision_remove(work->data_fd, &work->err);
}

/* Nobody shall wait at the socket of a service that does not come back. */
static void close_socket(struct init *init)
{
    struct supervise_unit *unit = supervise_find(&init->supervise, SERVICE);
    char path[INIT_PATH_SIZE_MAX];
    int size = snprintf(path, sizeof path, "%s/%s", init->run_path, unit->def->listens);

    (void)fd_store_remove(&unit->kept, unit->def->listens); /* none before its first start */
    if (size > 0 && (size_t)size < sizeof path) {
        (void)unlink(path); /* same */
    }
}

/* The service starts anew with what was written, or stops. */
static void take_effect(struct init *init, bool enables)
{
    if (!enables) {
        supervise_clear_conditions(&init->supervise, SERVICE_WHEN_PROVISION);
        close_socket(init);
    } else if ((init->supervise.core.conditions & SERVICE_WHEN_PROVISION) == 0) {
        supervise_set_conditions(&init->supervise, SERVICE_WHEN_PROVISION);
    } else {
        (void)supervise_restart(&init->supervise, SERVICE, NULL); /* not when going down */
    }
}

static void after_thread(uv_work_t *uv, int status)
{
    Rayos__Init__Done done = RAYOS__INIT__DONE__INIT;
    struct work *work = uv->data;

    (void)status; /* nobody cancels it */
    work->init->is_provision_busy = false;
    if (work->rc == RAY_OK) {
        ray_log(&work->init->logger, RAY_LOG_NOTICE, "provision", "%s reason=\"%s\"",
                work->enables ? "enabled" : "disabled", work->reason);
        take_effect(work->init, work->enables);
    } else {
        ray_log(&work->init->logger, RAY_LOG_WARN, "provision", "%s", work->err.text);
    }
    if (work->call != NULL && work->rc == RAY_OK) {
        (void)ray_rpc_reply(work->call, &done.base); /* the caller may have left */
    } else if (work->call != NULL) {
        (void)ray_rpc_reply_err(work->call, &work->err); /* same */
    }
    free(work);
}

static int check_ready(struct init *init, struct ray_rpc_call *call, struct ray_err *err)
{
    const struct supervise_unit *unit = supervise_find(&init->supervise, SERVICE);

    if (ray_rpc_call_peer(call)->uid != 0) {
        (void)ray_fail(err, RAY_EDENIED, "only root may change what this node serves");
        (void)ray_next(err, "use the node's console, or become root");
        return RAY_EDENIED;
    }
    if (unit == NULL || supervise_unit_state(unit)->state == SUPERVISE_ABSENT) {
        return ray_fail(err, RAY_EUNSUPPORTED, "this image has no rayos-provision");
    }
    if (!init->has_data) {
        return ray_fail(err, RAY_EUNAVAILABLE, "there is no data folder");
    }
    if (init->is_provision_busy) {
        (void)ray_fail(err, RAY_EUNAVAILABLE, "another such change is under way");
        (void)ray_next(err, "try again");
        return RAY_EUNAVAILABLE;
    }
    return RAY_OK;
}

/* `request` NULL: disable. */
static int start(struct init *init, struct ray_rpc_call *call,
                 const Rayos__Init__ProvisionEnableRequest *request, const char *reason,
                 struct ray_err *err)
{
    struct work *work;
    int rc = check_ready(init, call, err);

    if (rc != RAY_OK) {
        return rc;
    }
    work = ray_fault(RAY_FAULT_ALLOC) != 0 ? NULL : calloc(1, sizeof *work);
    if (work == NULL) {
        return ray_fail(err, RAY_ENOMEM, "no memory for the change");
    }
    rc = request != NULL ? init_provision_format(request, &init->lease, work->text, err) : RAY_OK;
    (void)ray_escape(work->reason, sizeof work->reason, reason, strlen(reason)); /* cut to fit */
    work->init = init;
    work->call = call;
    work->data_fd = init->data.fd;
    work->enables = request != NULL;
    work->sets_owner = !init->is_hosted;
    work->uv.data = work;
    if (rc == RAY_OK && uv_queue_work(&init->loop.uv, &work->uv, on_thread, after_thread) != 0) {
        rc = ray_fail(err, RAY_ENOMEM, "no memory for the change");
    }
    if (rc != RAY_OK) {
        free(work);
        return rc;
    }
    init->is_provision_busy = true;
    ray_rpc_call_on_cancel(call, on_cancel, work);
    return RAY_OK;
}

void init_provision_enable(struct ray_rpc_call *call, const ProtobufCMessage *input, void *arg)
{
    const Rayos__Init__ProvisionEnableRequest *request =
        (const Rayos__Init__ProvisionEnableRequest *)input;
    struct ray_err err = {0};

    if (start(arg, call, request, request->reason, &err) != RAY_OK) {
        (void)ray_rpc_reply_err(call, &err); /* gone either way */
    }
}

void init_provision_disable(struct ray_rpc_call *call, const ProtobufCMessage *input, void *arg)
{
    const Rayos__Init__ProvisionDisableRequest *request =
        (const Rayos__Init__ProvisionDisableRequest *)input;
    struct ray_err err = {0};

    if (start(arg, call, NULL, request->reason, &err) != RAY_OK) {
        (void)ray_rpc_reply_err(call, &err); /* gone either way */
    }
}
