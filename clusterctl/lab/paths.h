/* clusterctl/lab/paths.h - where a lab keeps its files, and where its parts are found.
 *
 * Memory: none of its own; struct lab_paths is the caller's.
 * Threads: any.  Blocks: a few stat calls.  Trust: the lab's name is the user's: checked. */
#ifndef RAY_CLUSTERCTL_LAB_PATHS_H
#define RAY_CLUSTERCTL_LAB_PATHS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

enum {
    LAB_NAME_SIZE = 33, /* 32 characters and NUL */
    LAB_PATH_SIZE = 1024,
    LAB_SOCKET_PATH_SIZE = 108, /* sizeof sockaddr_un.sun_path */
};

#define LAB_FILE_STATE "lab.json"
#define LAB_FILE_REPORT "report.json"
#define LAB_FILE_CONTROL "control.sock"
#define LAB_FILE_SWITCH "switch.sock"
#define LAB_FILE_LOG "supervisor.log"
#define LAB_FILE_SWITCH_LOG "switch.log"
#define LAB_FILE_EVENTS "events.jsonl"
#define LAB_FILE_CAPTURE "capture.pcap"
#define LAB_FILE_PROVISION_EVENTS "provision.jsonl"
#define LAB_FILE_PROVISION_LOG "provision.log"
#define LAB_DIR_MACHINES "machines"
#define LAB_DIR_PORTS "ports"
#define LAB_DIR_PROVISION "provision"
#define LAB_DIR_CONFIG "config" /* of the lab's operator: a XDG_CONFIG_HOME */
#define LAB_FILE_OPERATOR_KEY LAB_DIR_CONFIG "/rayos/operator.key"
#define LAB_FILE_TOKEN LAB_DIR_CONFIG "/token" /* for clusterctl's first contact */

struct lab_paths {
    char name[LAB_NAME_SIZE];     /* of the lab */
    char checkout[LAB_PATH_SIZE]; /* absolute */
    char bin_dir[LAB_PATH_SIZE];  /* folder of this program: the other programs lie there */
    char program[LAB_PATH_SIZE];  /* this program */
    char labs_dir[LAB_PATH_SIZE]; /* CHECKOUT/build/lab, or $RAYOS_LAB_DIR */
    char dir[LAB_PATH_SIZE];      /* LABS_DIR/NAME */
    char lock[LAB_PATH_SIZE];     /* LABS_DIR/.NAME.lock: held while the lab lives */
};

/* [a-z0-9] first, then also '-', '_' and '.'; at most 32 characters. */
bool lab_name_is_valid(const char *name);

/* The checkout is the nearest folder upward from the working directory that holds
 * tools/in-root, else upward from the program. RAY_EUSAGE: bad name; RAY_ENOTFOUND: no
 * checkout and no $RAYOS_LAB_DIR. */
int lab_paths_find(struct lab_paths *out, const char *lab_name, struct ray_err *err);

/* "FOLDER/NAME" into out; RAY_ETOOBIG when it does not fit. */
int lab_path_join(char *out, size_t out_size, const char *folder, const char *name,
                  struct ray_err *err);

/* A path for a Unix socket that fits sun_path however long the checkout's path is:
 * /proc/self/fd/DIR_FD/NAME. Valid in this process while dir_fd is open. */
int lab_socket_path(int dir_fd, const char *name, char out[static LAB_SOCKET_PATH_SIZE],
                    struct ray_err *err);

#endif
