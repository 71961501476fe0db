/* clusterctl/lab/verbs/verbs.h - the commands below `clusterctl lab`, one file each, and what
 * they share: finding the lab and talking to its supervisor.
 *
 * Memory: struct lab_client is the caller's, closed by lab_client_close.
 * Threads: one.  Blocks: for the supervisor's answers.  Trust: arguments are the user's. */
#ifndef RAY_CLUSTERCTL_LAB_VERBS_VERBS_H
#define RAY_CLUSTERCTL_LAB_VERBS_VERBS_H

#include <protobuf-c/protobuf-c.h>
#include <stdint.h>

#include "base/args.h"
#include "base/err.h"
#include "clusterctl/lab/paths.h"

#define LAB_NAME_OPTION                                                                            \
    {.name = "name",                                                                               \
     .short_name = 'n',                                                                            \
     .value_name = "LAB",                                                                          \
     .default_value = "default",                                                                   \
     .help = "which lab"}

enum { LAB_CALL_TIMEOUT_MS = 10000 };

struct lab_client {
    struct lab_paths paths;
    int dir_fd;                        /* -1: closed */
    char socket[LAB_SOCKET_PATH_SIZE]; /* of the supervisor; valid while dir_fd is open */
};

/* Finds the lab that --name says. RAY_ENOTFOUND with the next step when it does not run. */
int lab_client_open(struct lab_client *client, const struct ray_args *args, struct ray_err *err);
void lab_client_close(struct lab_client *client);
/* One call and its answer; *out_body is freed by protobuf_c_message_free_unpacked. */
int lab_client_call(const struct lab_client *client, const char *method,
                    const ProtobufCMessage *input, const ProtobufCMessageDescriptor *output,
                    uint64_t timeout_ms, ProtobufCMessage **out_body, struct ray_err *err);

/* Runs a command in the lab's namespaces, as the lab's operator (its XDG_CONFIG_HOME), with our
 * folder and the rest of our environment; `fds` are its 0, 1 and 2. *out_status as a shell's. */
int lab_enter(const struct lab_client *client, const char *const *argv, size_t argv_count,
              const int fds[static 3], int *out_status, struct ray_err *err);

/* Prints the error as clusterctl does; returns its exit status. */
int lab_fail(const struct ray_err *err);

/* A numeric option within [min, max]; RAY_EUSAGE names it. */
int lab_option_u64(const struct ray_args *args, const char *name, uint64_t min, uint64_t max,
                   uint64_t *out, struct ray_err *err);

extern const struct ray_args_option lab_up_options[];
extern const struct ray_args_option lab_down_options[];
extern const struct ray_args_option lab_status_options[];
extern const struct ray_args_option lab_list_options[];
extern const struct ray_args_option lab_wait_options[];
extern const struct ray_args_option lab_events_options[];
extern const struct ray_args_option lab_console_options[];
extern const struct ray_args_option lab_log_options[];
extern const struct ray_args_option lab_exec_options[];
extern const struct ray_args_option lab_cp_options[];
extern const struct ray_args_option lab_ping_options[];
extern const struct ray_args_option lab_screenshot_options[];
extern const struct ray_args_option lab_enter_options[];
extern const struct ray_args_option lab_supervise_options[];
extern const struct ray_args_option lab_switch_options[];
extern const struct ray_args_option lab_chaos_options[];

int lab_run_up(const struct ray_args *args, void *context);
int lab_run_down(const struct ray_args *args, void *context);
int lab_run_status(const struct ray_args *args, void *context);
int lab_run_list(const struct ray_args *args, void *context);
int lab_run_wait(const struct ray_args *args, void *context);
int lab_run_events(const struct ray_args *args, void *context);
int lab_run_console(const struct ray_args *args, void *context);
int lab_run_log(const struct ray_args *args, void *context);
int lab_run_exec(const struct ray_args *args, void *context);
int lab_run_cp(const struct ray_args *args, void *context);
int lab_run_ping(const struct ray_args *args, void *context);
int lab_run_screenshot(const struct ray_args *args, void *context);
int lab_run_chaos(const struct ray_args *args, void *context);
int lab_run_enter(const struct ray_args *args, void *context);
int lab_run_supervise(const struct ray_args *args, void *context);
int lab_run_switch(const struct ray_args *args, void *context);

/* Candidates for a machine's name, and for an action of chaos. */
void lab_complete_node(const struct ray_args *args, size_t index, void *context);
void lab_complete_chaos(const struct ray_args *args, size_t index, void *context);

#endif
