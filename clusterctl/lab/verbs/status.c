/* clusterctl/lab/verbs/status.c - `lab status` and `lab list`. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <yyjson.h>

#include "clusterctl/cli/output.h"
#include "clusterctl/lab/record.h"
#include "clusterctl/lab/verbs/verbs.h"
#include "net/proto/lab.pb-c.h"

const struct ray_args_option lab_status_options[] = {LAB_NAME_OPTION, OUTPUT_OPTION, {0}};
const struct ray_args_option lab_list_options[] = {OUTPUT_OPTION, {0}};

int lab_run_status(const struct ray_args *args, void *context)
{
    static const struct output_column columns[] = {
        {"NODE", "name", OUTPUT_AS_TEXT},
        {"STATE", "state", OUTPUT_AS_TEXT},
        {"PHASE", "phase", OUTPUT_AS_TEXT},
        {"ADDRESS", "address", OUTPUT_AS_TEXT},
        {"PID", "pid", OUTPUT_AS_TEXT},
        {"BOOTS", "boot_count", OUTPUT_AS_TEXT},
        {"MARKERS", "marker_count", OUTPUT_AS_TEXT},
        {"READY AFTER", "total_us", OUTPUT_AS_SECONDS},
        {"VOTERS HEARD", "quorate_voters", OUTPUT_AS_TEXT},
        {NULL, NULL, OUTPUT_AS_TEXT},
    };
    static const struct output_view view = {
        .list_key = "nodes", .name_key = "name", .columns = columns};
    Rayos__Lab__StatusRequest request = RAYOS__LAB__STATUS_REQUEST__INIT;
    ProtobufCMessage *body = NULL;
    struct lab_client client;
    struct ray_err err = {0};
    int status;
    int rc = lab_client_open(&client, args, &err);

    (void)context;
    if (rc == RAY_OK) {
        rc = lab_client_call(&client, "lab.status", &request.base, &rayos__lab__status__descriptor,
                             LAB_CALL_TIMEOUT_MS, &body, &err);
    }
    lab_client_close(&client);
    if (rc != RAY_OK) {
        return lab_fail(&err);
    }
    if (((const Rayos__Lab__Status *)body)->failure[0] != '\0') { /* a table has no place for it */
        (void)fprintf(stderr, "clusterctl: the lab did not start: %s\n",
                      ((const Rayos__Lab__Status *)body)->failure);
    }
    status = output_message(args, body, &view);
    protobuf_c_message_free_unpacked(body, NULL);
    return status;
}

/* ---- list ---- */

/* Adds one lab: running, or what its folder says of its end. */
static bool add_lab(yyjson_mut_doc *doc, yyjson_mut_val *list, const char *name)
{
    yyjson_mut_val *entry = yyjson_mut_arr_add_obj(doc, list);
    struct lab_paths paths;
    char report[LAB_PATH_SIZE];
    const char *state = "running";

    if (lab_paths_find(&paths, name, NULL) != RAY_OK ||
        lab_path_join(report, sizeof report, paths.dir, LAB_FILE_REPORT, NULL) != RAY_OK) {
        return false;
    }
    if (!lab_lock_is_held(&paths)) {
        state = access(report, F_OK) == 0 ? "down" : "died";
    }
    return yyjson_mut_obj_add_strcpy(doc, entry, "name", name) &&
           yyjson_mut_obj_add_str(doc, entry, "state", state) &&
           yyjson_mut_obj_add_strcpy(doc, entry, "directory", paths.dir);
}

static bool is_folder(const char *folder, const char *name)
{
    char path[LAB_PATH_SIZE];
    struct stat info;

    return lab_path_join(path, sizeof path, folder, name, NULL) == RAY_OK &&
           lstat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

static int read_labs(const char *labs_dir, yyjson_mut_doc *doc, yyjson_mut_val *list,
                     struct ray_err *err)
{
    DIR *dir = opendir(labs_dir);
    struct dirent *entry;

    if (dir == NULL) {
        return errno == ENOENT ? RAY_OK : ray_fail_errno(err, errno, "%s", labs_dir);
    }
    while ((entry = readdir(dir)) != NULL) {
        if (lab_name_is_valid(entry->d_name) && is_folder(labs_dir, entry->d_name) &&
            !add_lab(doc, list, entry->d_name)) {
            break;
        }
    }
    (void)closedir(dir);
    return entry == NULL ? RAY_OK : ray_fail(err, RAY_ENOMEM, "list of labs");
}

int lab_run_list(const struct ray_args *args, void *context)
{
    static const struct output_column columns[] = {
        {"LAB", "name", OUTPUT_AS_TEXT},
        {"STATE", "state", OUTPUT_AS_TEXT},
        {"DIRECTORY", "directory", OUTPUT_AS_TEXT},
        {NULL, NULL, OUTPUT_AS_TEXT},
    };
    static const struct output_view view = {
        .list_key = "labs", .name_key = "name", .columns = columns};
    yyjson_mut_doc *doc = yyjson_mut_doc_new(NULL);
    yyjson_mut_val *root = yyjson_mut_obj(doc);
    yyjson_mut_val *list = yyjson_mut_obj_add_arr(doc, root, "labs");
    enum output_form form = OUTPUT_TABLE;
    struct lab_paths paths;
    struct ray_err err = {0};
    int rc = list == NULL ? ray_fail(&err, RAY_ENOMEM, "list of labs")
                          : output_form_parse(ray_args_value(args, "output"), &form, &err);

    (void)context;
    rc = rc == RAY_OK ? lab_paths_find(&paths, "default", &err) : rc;
    rc = rc == RAY_OK ? read_labs(paths.labs_dir, doc, list, &err) : rc;
    rc = rc == RAY_OK ? output_print(stdout, form, root, &view, &err) : rc;
    yyjson_mut_doc_free(doc);
    return rc == RAY_OK ? 0 : lab_fail(&err);
}
