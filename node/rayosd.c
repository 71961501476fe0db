/* rayosd.c - the node's daemon: says what this node is and how it is, and takes part in a cluster
 * (--listen).
 *
 * Runs as its own user without any capability, under PID 1 or by hand (then it says what
 * it lacks). Under PID 1 the listening socket is kept there over restarts: callers wait in
 * its backlog meanwhile instead of failing. Start: socket, sandbox, loop, READY; the loop comes
 * after the sandbox, because libuv would take an io_uring if it got one, and those go round
 * filters. End on SIGTERM: leadership of the cluster is handed over, open calls end, then the
 * process does. A second signal ends it at once.
 *
 * By hand, as an ordinary user: --root DIR puts all that a node has in / below DIR. PID 1 says the
 * rest by options, too (node/init/member.h). */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/args.h"
#include "base/atomic_file.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/notify.h"
#include "coordinator/api/member_api.h"
#include "net/rpc.h"
#include "node/rayosd_facts.h"
#include "node/rayosd_markers.h"
#include "node/rayosd_methods.h"
#include "node/rayosd_metrics.h"
#include "node/rayosd_orders.h"
#include "node/rayosd_seccomp.h"
#include "node/rayosd_ticker.h"
#include "node/rayosd_watchdog.h"

enum { MARKERS_AGAIN_MS = 200, SOCKET_PATH_SIZE = 256, FACTS_SIZE_MAX = 32 << 10 };

static const char socket_name[] = "node.sock"; /* of the file, and of the kept descriptor */

struct rayosd {
    struct ray_logger *logger;
    struct ray_loop loop;
    struct ray_signal sigterm;
    struct ray_signal sigint;
    struct rayosd_context context;
    struct ray_rpc_server *server;
    struct coord_member *member; /* NULL: not told to take part */
    struct ray_buf facts;        /* what it tells of this machine */
    bool is_fit_for_leases;
    struct rayosd_metrics *metrics; /* NULL: not told to show any */
    struct rayosd_ticker ticker;
    struct rayosd_markers markers; /* without PID 1 */
    struct ray_timer marker_timer;
    struct rayosd_watchdog watchdog;
    bool is_leaving;
    bool has_failed;
    int root_fd;
    int socket_fd; /* -1 when the server has it */
    char run_dir[SOCKET_PATH_SIZE];
    char member_dir[SOCKET_PATH_SIZE]; /* what a member keeps for this boot */
    char data_dir[SOCKET_PATH_SIZE];
    char path[SOCKET_PATH_SIZE];
    char init_path[SOCKET_PATH_SIZE];
};

static void on_left(void *arg)
{
    struct rayosd *rayosd = arg;

    ray_loop_stop(&rayosd->loop);
}

static void on_signal(void *arg, int signum)
{
    struct rayosd *rayosd = arg;

    ray_log(rayosd->logger, RAY_LOG_NOTICE, "main", "stopping signal=%d", signum);
    (void)ray_notify("STOPPING=1", NULL); /* only a courtesy */
    if (rayosd->member == NULL || rayosd->is_leaving) {
        ray_loop_stop(&rayosd->loop);
        return;
    }
    rayosd->is_leaving = true;
    coord_member_leave(rayosd->member, on_left, rayosd);
}

/* ---- folders ---- */

static int join_path(char *out, const char *first, const char *second, const char *what,
                     struct ray_err *err)
{
    int size = snprintf(out, SOCKET_PATH_SIZE, "%s%s", first, second);

    if (size < 0 || size >= SOCKET_PATH_SIZE) {
        return ray_fail(err, RAY_EINVAL, "%s is too long", what);
    }
    return RAY_OK;
}

/* --root puts both folders below it, unless --run-dir says otherwise. */
static int make_paths(struct rayosd *rayosd, const struct ray_args *args, struct ray_err *err)
{
    const char *root = ray_args_value(args, "root");
    const char *run_dir = ray_args_value(args, "run-dir");
    int rc = run_dir != NULL ? join_path(rayosd->run_dir, run_dir, "", "--run-dir", err)
                             : join_path(rayosd->run_dir, root == NULL ? "" : root, "/run/rayos",
                                         "--root", err);

    if (rc == RAY_OK) {
        rc = join_path(rayosd->data_dir, root == NULL ? "" : root, "/var/rayos", "--root", err);
    }
    if (rc == RAY_OK) {
        rc = join_path(rayosd->member_dir, rayosd->run_dir, "/member", "the run folder", err);
    }
    if (rc == RAY_OK) {
        rc = join_path(rayosd->path, rayosd->run_dir, "/node.sock", "the run folder", err);
    }
    if (rc == RAY_OK) {
        rc = join_path(rayosd->init_path, rayosd->run_dir, "/init.sock", "the run folder", err);
    }
    if (rc == RAY_OK && root != NULL) {
        rc = ray_make_dirs(AT_FDCWD, rayosd->run_dir,
                           S_IRWXU | S_IRGRP | S_IXGRP | S_IROTH | S_IXOTH, err);
    }
    return rc;
}

/* The kept socket of the process before us, or a new one. */
static int open_socket(struct rayosd *rayosd, int *out_fd, struct ray_err *err)
{
    struct ray_err keep_err = {0};
    int fd = ray_notify_kept_fd(socket_name);
    int rc;

    if (fd >= 0) {
        ray_log(rayosd->logger, RAY_LOG_INFO, "main", "socket=kept");
        *out_fd = fd;
        return RAY_OK;
    }
    rc = ray_rpc_unix_listen(rayosd->path, 0666, &fd, err);
    if (rc != RAY_OK) {
        return rc;
    }
    if (ray_notify_keep_fd(socket_name, fd, &keep_err) != RAY_OK) {
        /* Works without; callers fail while we restart. */
        ray_log(rayosd->logger, RAY_LOG_WARN, "main", "socket is not kept: %s", keep_err.text);
    }
    *out_fd = fd;
    return RAY_OK;
}

/* ---- the cluster ---- */

static void flush_markers(void *arg)
{
    struct rayosd *rayosd = arg;
    uint64_t lost_count;

    rayosd_markers_flush(&rayosd->markers);
    lost_count = rayosd_markers_take_lost(&rayosd->markers);
    if (lost_count > 0) {
        ray_log(rayosd->logger, RAY_LOG_WARN, "main", "nobody takes markers lost=%llu",
                (unsigned long long)lost_count);
    }
    if (rayosd->markers.size > 0) {
        ray_timer_start(&rayosd->marker_timer, MARKERS_AGAIN_MS, 0);
    }
}

static void tell_marker(struct rayosd *rayosd, enum ray_marker marker, const char *detail)
{
    char line[RAY_MARKER_LINE_SIZE_MAX];
    size_t size;

    if (getenv("NOTIFY_SOCKET") != NULL) {
        (void)ray_notify_marker(marker, detail, NULL); /* PID 1 is busy */
        return;
    }
    size = ray_marker_format(line, marker, detail);
    rayosd_markers_tell(&rayosd->markers, line, size);
    flush_markers(rayosd);
}

static void on_quorate(void *arg, size_t voter_count)
{
    struct rayosd *rayosd = arg;
    char detail[16];

    (void)snprintf(detail, sizeof detail, "%zu", voter_count);
    ray_log(rayosd->logger, RAY_LOG_NOTICE, "main", "quorate voters=%s", detail);
    rayosd_ticker_hurry(&rayosd->ticker);
    tell_marker(rayosd, RAY_MARKER_CLUSTER_QUORATE, detail);
}

static void on_denied(void *arg, const char *rule, const char *detail)
{
    char text[RAY_MARKER_LINE_SIZE_MAX];

    (void)snprintf(text, sizeof text, "%s:%s", rule, detail);
    tell_marker(arg, RAY_MARKER_POLICY_VIOLATION, text);
}

static void on_order(void *arg, struct ray_rpc_call *call, const ProtobufCMessage *input)
{
    struct rayosd *rayosd = arg;

    rayosd_order(&rayosd->loop, rayosd->init_path, call, input);
}

static void on_member_failed(void *arg)
{
    struct rayosd *rayosd = arg;

    rayosd->has_failed = true; /* the member has said why; PID 1 starts us anew */
    ray_loop_stop(&rayosd->loop);
}

static int start_member(struct rayosd *rayosd, const struct ray_args *args, struct ray_err *err)
{
    const char *interface = ray_args_value(args, "interface");
    const char *advertise = ray_args_value(args, "advertise");
    const struct coord_member_config config = {
        .loop = &rayosd->loop,
        .logger = rayosd->logger,
        .data_dir = rayosd->data_dir,
        .run_dir = rayosd->member_dir,
        .listen = ray_args_value(args, "listen"),
        .advertise = advertise == NULL && interface != NULL ? "" : advertise,
        .name = ray_args_value(args, "name"),
        .domain = ray_args_value(args, "domain"),
        .credential = ray_args_value(args, "credential"),
        .seeds = ray_args_value(args, "seeds"),
        .is_fit_for_leases = rayosd->is_fit_for_leases,
        .is_ephemeral = ray_args_flag(args, "ephemeral"),
        .facts = rayosd->facts.data,
        .facts_size = rayosd->facts.size,
        .on_quorate = on_quorate,
        .on_denied = on_denied,
        .on_order = on_order,
        .on_failed = on_member_failed,
        .arg = rayosd,
    };
    int rc;

    if (config.listen == NULL) {
        return RAY_OK;
    }
    if (advertise != NULL && interface != NULL) {
        return ray_fail(err, RAY_EUSAGE, "--advertise and --interface exclude each other");
    }
    rc = coord_member_create(&rayosd->member, &config, err);
    return rc == RAY_OK ? rayosd_ticker_init(&rayosd->ticker, &rayosd->loop, rayosd->logger,
                                             rayosd->member, interface, config.listen, err)
                        : rc;
}

/* ---- beginning and end ---- */

static bool take_pulse(void *arg)
{
    struct rayosd *rayosd = arg;

    return rayosd->member == NULL || coord_member_take_pulse(rayosd->member);
}

/* The filter lets only members open IP sockets. */
static int start_metrics(struct rayosd *rayosd, const struct ray_args *args, struct ray_err *err)
{
    const char *address = ray_args_value(args, "metrics");

    if (address == NULL) {
        return RAY_OK;
    }
    return rayosd->member == NULL ? ray_fail(err, RAY_EUSAGE, "--metrics wants --listen, too")
                                  : rayosd_metrics_create(&rayosd->metrics, &rayosd->context,
                                                          rayosd->logger, address, err);
}

/* The loop and what it serves. */
static int start_loop(struct rayosd *rayosd, const struct ray_args *args, struct ray_err *err)
{
    int rc = ray_loop_init(&rayosd->loop, err);

    if (rc != RAY_OK) {
        return rc;
    }
    ray_buf_init(&rayosd->facts, FACTS_SIZE_MAX);
    rayosd_markers_init(&rayosd->markers, STDOUT_FILENO);
    rayosd_context_init(&rayosd->context, &rayosd->loop, rayosd->root_fd, rayosd->init_path);
    rc = ray_timer_init(&rayosd->marker_timer, &rayosd->loop, flush_markers, rayosd, err);
    if (rc == RAY_OK) {
        rc = ray_signal_init(&rayosd->sigterm, &rayosd->loop, SIGTERM, on_signal, rayosd, err);
    }
    if (rc == RAY_OK) {
        rc = ray_signal_init(&rayosd->sigint, &rayosd->loop, SIGINT, on_signal, rayosd, err);
    }
    if (rc == RAY_OK && ray_args_value(args, "listen") != NULL) {
        rc = rayosd_facts_read(rayosd->root_fd, rayosd->data_dir, &rayosd->facts,
                               &rayosd->is_fit_for_leases, err);
    }
    if (rc == RAY_OK) {
        rc = start_member(rayosd, args, err);
    }
    if (rc == RAY_OK) {
        rayosd->context.member = rayosd->member;
        rc = ray_rpc_server_create_fd(&rayosd->server, &rayosd->loop, rayosd->socket_fd,
                                      rayosd_methods(&rayosd->context), &rayosd->context, err);
    }
    if (rc == RAY_OK) {
        rayosd->socket_fd = -1; /* the server's now */
        ray_rpc_server_take_large(rayosd->server);
        rc = rayosd_watchdog_init(&rayosd->watchdog, &rayosd->loop, rayosd->logger, take_pulse,
                                  rayosd, err);
    }
    if (rc == RAY_OK) {
        rc = start_metrics(rayosd, args, err);
    }
    return rc;
}

static int enter_sandbox(const struct ray_args *args, struct ray_err *err)
{
    if (strcmp(ray_args_value(args, "sandbox"), "on") != 0) {
        return RAY_OK;
    }
    return ray_args_value(args, "listen") != NULL ? rayosd_seccomp_enter_member(err)
                                                  : rayosd_seccomp_enter(err);
}

static int start(struct rayosd *rayosd, const struct ray_args *args, struct ray_err *err)
{
    int rc = make_paths(rayosd, args, err);

    if (rc != RAY_OK) {
        return rc;
    }
    rayosd->root_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (rayosd->root_fd < 0) {
        return ray_fail_errno(err, errno, "/");
    }
    rc = open_socket(rayosd, &rayosd->socket_fd, err);
    if (rc == RAY_OK) {
        rc = enter_sandbox(args, err);
    }
    return rc == RAY_OK ? start_loop(rayosd, args, err) : rc;
}

static void stop(struct rayosd *rayosd)
{
    rayosd_metrics_destroy(rayosd->metrics);
    ray_rpc_server_destroy(rayosd->server);
    rayosd_ticker_fini(&rayosd->ticker);
    coord_member_destroy(rayosd->member);
    rayosd_context_fini(&rayosd->context);
    rayosd_watchdog_fini(&rayosd->watchdog);
    ray_timer_fini(&rayosd->marker_timer);
    ray_signal_fini(&rayosd->sigterm);
    ray_signal_fini(&rayosd->sigint);
    ray_loop_fini(&rayosd->loop);
    ray_buf_fini(&rayosd->facts);
    if (rayosd->socket_fd >= 0) {
        (void)close(rayosd->socket_fd); /* nobody was accepted */
    }
    if (rayosd->root_fd >= 0) {
        (void)close(rayosd->root_fd); /* O_PATH: nothing can be lost */
    }
}

static void say_served(struct rayosd *rayosd, bool has_sandbox)
{
    if (!has_sandbox || geteuid() == 0) {
        ray_log(rayosd->logger, RAY_LOG_WARN, "main", "less isolation: sandbox=%s uid=%u",
                has_sandbox ? "on" : "off", geteuid());
    }
    if (rayosd->member != NULL && geteuid() != 0) {
        ray_log(rayosd->logger, RAY_LOG_NOTICE, "main", "admins on the socket: uid 0 and uid %u",
                geteuid());
    }
    if (rayosd->member != NULL) {
        ray_log(rayosd->logger, RAY_LOG_NOTICE, "main", "node=%s address=%s",
                coord_member_name(rayosd->member), coord_member_address(rayosd->member));
    }
    ray_log(rayosd->logger, RAY_LOG_NOTICE, "main", "serving version=%s socket=%s", RAY_VERSION,
            rayosd->path);
}

static int run(const struct ray_args *args, void *context)
{
    struct rayosd rayosd = {.logger = context, .root_fd = -1, .socket_fd = -1};
    bool has_sandbox = strcmp(ray_args_value(args, "sandbox"), "on") == 0;
    struct ray_err err = {0};
    int rc = start(&rayosd, args, &err);

    if (rc == RAY_OK) {
        rc = ray_notify_ready(&err);
    }
    if (rc == RAY_OK) {
        say_served(&rayosd, has_sandbox);
        ray_loop_run(&rayosd.loop);
        rc = rayosd.has_failed ? RAY_EUNAVAILABLE : RAY_OK;
    } else {
        ray_log(rayosd.logger, RAY_LOG_ERROR, "main", "cannot serve: %s%s%s", err.text,
                err.next_step[0] != '\0' ? "; next: " : "", err.next_step);
    }
    stop(&rayosd);
    return ray_err_exit_status(rc);
}

static const struct ray_args_option options[] = {
    {.name = "root",
     .value_name = "DIR",
     .help = "where var/rayos and run/rayos are; by hand, as any user (default: /)"},
    {.name = "run-dir",
     .value_name = "DIR",
     .help = "folder of node.sock, and of PID 1's init.sock (default: /run/rayos below --root)"},
    {.name = "listen",
     .value_name = "HOST:PORT",
     .help = "take part in a cluster: where other members reach this node"},
    {.name = "advertise",
     .value_name = "HOST:PORT",
     .help = "the address that others are told, when it is another one"},
    {.name = "interface",
     .value_name = "NAME",
     .help =
         "they are told its first IPv4 address, else an IPv6 one, whatever that is at the time"},
    {.name = "name", .value_name = "NAME", .help = "of this node (default: of its key)"},
    {.name = "domain", .value_name = "NAME", .help = "failure domain (default: the node's own)"},
    {.name = "credential",
     .value_name = "FILE",
     .help = "what to do without a cluster: rayos.join=TOKEN or rayos.create=..."},
    {.name = "seeds",
     .value_name = "LIST",
     .help = "HOST:PORT,... where else to look for members, when it is to join them"},
    {.name = "ephemeral", .help = "what it keeps ends with this boot: it never votes"},
    {.name = "metrics",
     .value_name = "ADDRESS:PORT",
     .help = "show numbers to Prometheus there, to whoever asks (default: nowhere)"},
    {.name = "sandbox",
     .value_name = "on|off",
     .default_value = "on",
     .choices = "on|off",
     .help = "system call filter; off only to debug"},
    {.name = NULL},
};

static const struct ray_args_command command = {
    .name = "rayosd",
    .help = "the daemon of a RayOS node: its facts and health, and its part in a cluster",
    .options = options,
    .run = run,
};

int main(int argc, char **argv)
{
    struct ray_logger logger;

    /* A reader of our log that went away must not end us. */
    if (signal(SIGPIPE, SIG_IGN) == SIG_ERR) {
        return 1;
    }
    ray_logger_init(&logger, STDERR_FILENO, ray_log_form_from_env(), RAY_LOG_INFO);
    return ray_args_main(&command, NULL, RAY_VERSION, argc, argv, &logger);
}
