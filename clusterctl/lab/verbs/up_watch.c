/* clusterctl/lab/verbs/up_watch.c - see up.h.
 *
 * One call streams the events: each asks for the status once more (one call at a time), and
 * the status decides. On a terminal a timer paints the nodes' lines four times a second;
 * elsewhere phases are printed as they begin. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/atomic_file.h"
#include "clusterctl/lab/machine.h"
#include "clusterctl/lab/verbs/up.h"
#include "clusterctl/lab/view.h"
#include "net/proto/lab.pb-c.h"

enum { PAINT_MS = 250, VIEW_SIZE_MAX = 64 << 10, TAIL_LINE_COUNT = 15, TAIL_SIZE_MAX = 32 << 10 };

struct watch {
    struct lab_session *session;
    const struct lab_client *client;
    const struct lab_config *config;
    bool is_terminal;
    size_t painted_count; /* lines of the view that stand on the terminal */
    uint64_t events_id;
    bool is_asking;    /* a status call is in flight */
    bool wants_status; /* something happened since it was sent */
    bool is_over;
    int rc;
    uint64_t ready_us;
    uint64_t quorate_us;
    struct ray_timer paint;
    struct ray_timer deadline;
    struct ray_err *err;
};

static void ask(struct watch *watch);

static size_t terminal_width(void)
{
    struct winsize size;

    return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

/* Takes the view off the terminal, so that plain text may follow. */
static void unpaint(struct watch *watch)
{
    if (watch->painted_count > 0) {
        (void)printf("\x1b[%zuA\r\x1b[J", watch->painted_count);
        watch->painted_count = 0;
    }
}

static void paint(struct watch *watch, const Rayos__Lab__Status *status)
{
    struct ray_buf text;

    if (!watch->is_terminal) {
        return;
    }
    ray_buf_init(&text, VIEW_SIZE_MAX);
    if (lab_view_rewind(watch->painted_count, &text) == RAY_OK &&
        lab_view_lines(status, terminal_width() - 1, &text) == RAY_OK) {
        (void)fwrite(text.data, 1, text.size, stdout); /* a lost frame of the view */
        (void)fflush(stdout);
        watch->painted_count = status->n_nodes;
    }
    ray_buf_fini(&text);
}

static void end(struct watch *watch, int rc)
{
    if (!watch->is_over) {
        watch->is_over = true;
        watch->rc = rc;
    }
}

static void print_table(struct watch *watch, const Rayos__Lab__Status *status)
{
    struct ray_buf text;

    unpaint(watch);
    ray_buf_init(&text, VIEW_SIZE_MAX);
    if (lab_view_table(status, &text) == RAY_OK) {
        (void)fputs(ray_buf_text(&text), stdout);
    }
    ray_buf_fini(&text);
}

/* ---- what went wrong ---- */

/* The last lines of a machine's console, to standard error. */
static void print_tail(const struct watch *watch, const char *node)
{
    char path[LAB_PATH_SIZE];
    char text[TAIL_SIZE_MAX + 1];
    const char *at;
    struct stat info;
    ssize_t size = 0;
    int count = 0;
    int fd;

    if (snprintf(path, sizeof path, "%s/" LAB_DIR_MACHINES "/%s/" LAB_MACHINE_CONSOLE_LOG,
                 watch->client->paths.dir, node) >= (int)sizeof path) {
        return;
    }
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0 && fstat(fd, &info) == 0) {
        size = pread(fd, text, TAIL_SIZE_MAX,
                     info.st_size > TAIL_SIZE_MAX ? info.st_size - TAIL_SIZE_MAX : 0);
    }
    if (fd >= 0) {
        (void)close(fd); /* read only */
    }
    if (size <= 0) {
        (void)fprintf(stderr, "  (its console is empty)\n");
        return;
    }
    text[size] = '\0';
    for (at = text + size - 1; at > text && count < TAIL_LINE_COUNT; at--) {
        count += at[-1] == '\n' ? 1 : 0;
    }
    at += count == TAIL_LINE_COUNT ? 1 : 0;
    (void)fprintf(stderr, "%s", at);
}

static void print_trouble(struct watch *watch, const Rayos__Lab__Status *status)
{
    unpaint(watch);
    (void)fflush(stdout);
    for (size_t i = 0; i < status->n_nodes; i++) {
        const Rayos__Lab__Node *node = status->nodes[i];
        uint64_t in_phase_us = status->now_us - node->phase_since_us;

        if (strcmp(node->phase, "ready") == 0) {
            continue;
        }
        if (strcmp(node->state, "off") == 0) {
            (void)fprintf(stderr, "%s is off%s%s; last lines of its console:\n", node->name,
                          node->last_exit[0] != '\0' ? ": QEMU ended with " : "", node->last_exit);
        } else {
            (void)fprintf(stderr, "%s is in phase %s for %.1f s; last lines of its console:\n",
                          node->name, node->phase, (double)in_phase_us / 1e6);
        }
        print_tail(watch, node->name);
    }
}

/* A machine that went off before it was ready. */
static const Rayos__Lab__Node *find_dead(const Rayos__Lab__Status *status)
{
    for (size_t i = 0; i < status->n_nodes; i++) {
        const Rayos__Lab__Node *node = status->nodes[i];

        if (node->boot_count > 0 && strcmp(node->state, "off") == 0) {
            return node;
        }
    }
    return NULL;
}

/* What each node hears of the cluster, when time is over. */
static int tell_no_quorum(struct watch *watch, const Rayos__Lab__Status *status)
{
    unsigned count = 0;

    unpaint(watch);
    (void)fflush(stdout);
    for (size_t i = 0; i < status->n_nodes; i++) {
        const Rayos__Lab__Node *node = status->nodes[i];

        if (node->quorate_voters == status->cluster_voters) {
            count++;
        } else if (node->quorate_voters == 0) {
            (void)fprintf(stderr, "%s hears no quorum\n", node->name);
        } else {
            (void)fprintf(stderr, "%s hears a quorum of %u voters\n", node->name,
                          node->quorate_voters);
        }
    }
    (void)ray_fail(watch->err, RAY_ETIMEOUT,
                   "the nodes are ready, but %u of %zu hear a quorum of %u voters after %u s",
                   count, status->n_nodes, status->cluster_voters, watch->config->timeout_s);
    return ray_next(watch->err, "the word 'status' at a node's prompt says why, after lab up "
                                "--cluster no or --detach: clusterctl lab console NODE");
}

static bool is_done(const Rayos__Lab__Status *status)
{
    return status->ready_us != 0 && (status->cluster_voters == 0 || status->quorate_us != 0);
}

static void judge(struct watch *watch, const Rayos__Lab__Status *status)
{
    const Rayos__Lab__Node *dead = find_dead(status);

    if (is_done(status)) {
        watch->ready_us = status->ready_us;
        watch->quorate_us = status->quorate_us;
        print_table(watch, status);
        end(watch, RAY_OK);
    } else if (status->failure[0] != '\0') {
        unpaint(watch);
        end(watch, ray_fail(watch->err, RAY_EUNAVAILABLE, "%s", status->failure));
    } else if (dead != NULL) {
        print_trouble(watch, status);
        end(watch,
            ray_fail(watch->err, RAY_EUNAVAILABLE, "%s went off before it was ready (QEMU: %s)",
                     dead->name, dead->last_exit));
    } else if (watch->rc == RAY_ETIMEOUT && status->ready_us != 0) {
        end(watch, tell_no_quorum(watch, status));
    } else if (watch->rc == RAY_ETIMEOUT) {
        print_trouble(watch, status);
        end(watch, ray_fail(watch->err, RAY_ETIMEOUT, "%u of %zu nodes are ready after %u s",
                            status->ready_count, status->n_nodes, watch->config->timeout_s));
    } else {
        paint(watch, status);
    }
}

/* ---- calls ---- */

static void on_status(void *arg, const struct ray_rpc_result *result)
{
    struct watch *watch = arg;

    watch->is_asking = false;
    if (watch->is_over) {
        return;
    }
    if (result->code != RAY_OK) {
        unpaint(watch);
        end(watch, ray_fail(watch->err, result->code, "%s", result->text));
        return;
    }
    judge(watch, (const Rayos__Lab__Status *)result->body);
    if (watch->wants_status && !watch->is_over) {
        ask(watch);
    }
}

static void ask(struct watch *watch)
{
    Rayos__Lab__StatusRequest request = RAYOS__LAB__STATUS_REQUEST__INIT;
    int rc;

    watch->wants_status = watch->is_asking;
    if (watch->is_asking || watch->is_over) {
        return;
    }
    rc = ray_rpc_call_start(watch->session->client, "lab.status", &request.base, NULL, 0,
                            &rayos__lab__status__descriptor, LAB_CALL_TIMEOUT_MS, NULL, on_status,
                            watch, NULL, watch->err);
    if (rc != RAY_OK) {
        end(watch, rc);
    } else {
        watch->is_asking = true;
    }
}

static void on_event(void *arg, const ProtobufCMessage *item)
{
    const Rayos__Lab__Event *event = (const Rayos__Lab__Event *)item;
    struct watch *watch = arg;

    if (!watch->is_terminal && !watch->is_over && strcmp(event->kind, "marker") != 0 &&
        strcmp(event->kind, "provision") != 0) {
        (void)printf("%6.1f s  %s%s%s\n", (double)event->t_us / 1e6, event->node,
                     event->node[0] != '\0' ? " " : "", event->text);
        (void)fflush(stdout);
    }
    ask(watch);
}

static void on_events_end(void *arg, const struct ray_rpc_result *result)
{
    struct watch *watch = arg;

    if (!watch->is_over) {
        unpaint(watch);
        end(watch, ray_fail(watch->err, result->code != RAY_OK ? result->code : RAY_ECLOSED,
                            "the lab's supervisor: %s", result->text));
    }
}

static void on_paint(void *arg)
{
    ask(arg);
}

static void on_deadline(void *arg)
{
    struct watch *watch = arg;

    watch->rc = RAY_ETIMEOUT; /* the next status is judged by it */
    ask(watch);
}

static void on_interrupt(void *arg)
{
    struct watch *watch = arg;

    unpaint(watch);
    end(watch, ray_fail(watch->err, RAY_ECANCELED, "interrupted"));
}

int lab_watch_boot(struct lab_session *session, const struct lab_client *client,
                   const struct lab_config *config, struct lab_boot_times *out_times,
                   struct ray_err *err)
{
    Rayos__Lab__EventsRequest request = RAYOS__LAB__EVENTS_REQUEST__INIT;
    struct watch watch = {
        .session = session,
        .client = client,
        .config = config,
        .is_terminal = isatty(STDOUT_FILENO) == 1,
        .err = err,
    };
    int rc = ray_timer_init(&watch.paint, &session->loop, on_paint, &watch, err);

    rc = rc == RAY_OK ? ray_timer_init(&watch.deadline, &session->loop, on_deadline, &watch, err)
                      : rc;
    request.follow = true;
    if (rc == RAY_OK) {
        rc = ray_rpc_call_start(session->client, "lab.events", &request.base, NULL, 0,
                                &rayos__lab__event__descriptor, 0, on_event, on_events_end, &watch,
                                &watch.events_id, err);
    }
    if (rc == RAY_OK) {
        session->on_interrupt = on_interrupt;
        session->interrupt_arg = &watch;
        if (watch.is_terminal) {
            ray_timer_start(&watch.paint, PAINT_MS, PAINT_MS);
        }
        ray_timer_start(&watch.deadline, (uint64_t)config->timeout_s * 1000, 0);
        ask(&watch);
        while (!watch.is_over) {
            ray_loop_once(&session->loop);
        }
        rc = watch.rc;
        /* Calls that are still open end here, while `watch` is there. */
        ray_rpc_client_destroy(session->client);
        session->client = NULL;
    }
    session->on_interrupt = NULL;
    ray_timer_fini(&watch.paint);
    ray_timer_fini(&watch.deadline);
    if (rc == RAY_OK) {
        *out_times =
            (struct lab_boot_times){.ready_us = watch.ready_us, .quorate_us = watch.quorate_us};
    }
    return rc;
}
