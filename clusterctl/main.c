/* main.c - clusterctl: the tree of commands. The program in the node image is built without
 * what an operator's machine does: the lab and the writer of disks (RAY_WITH_LAB unset). */
#include <signal.h>
#include <stdio.h>

#include "base/args.h"
#include "clusterctl/cli/completion.h"
#include "clusterctl/cli/reference.h"
#include "clusterctl/verbs/cluster.h"
#include "clusterctl/verbs/cluster_call.h"
#include "clusterctl/verbs/context.h"
#include "clusterctl/verbs/doctor.h"
#include "clusterctl/verbs/events.h"
#include "clusterctl/verbs/guest.h"
#include "clusterctl/verbs/image_release_store.h"
#ifdef RAY_WITH_LAB
#include "clusterctl/verbs/image_release_write.h"
#endif
#include "clusterctl/verbs/machine.h"
#include "clusterctl/verbs/node.h"
#include "clusterctl/verbs/place.h"
#include "clusterctl/verbs/policy.h"
#include "clusterctl/verbs/principal.h"
#include "clusterctl/verbs/provision.h"
#include "clusterctl/verbs/registry.h"
#include "clusterctl/verbs/support.h"
#include "clusterctl/verbs/why.h"
#ifdef RAY_WITH_LAB
#include "clusterctl/lab/lab_api.h"
#endif

static int run_version(const struct ray_args *args, void *context)
{
    (void)args;
    (void)context;
    (void)printf("clusterctl %s\n", RAY_VERSION);
    return 0;
}

int main(int argc, char **argv)
{
    const struct ray_args_command version_command = {
        .name = "version", .help = "print the version", .run = run_version};
    const struct ray_args_command image_release_commands[] = {image_release_add_command,
                                                              image_release_list_command,
                                                              image_release_remove_command,
                                                              image_release_gc_command,
#ifdef RAY_WITH_LAB
                                                              image_release_write_command,
#endif
                                                              {0}};
    const struct ray_args_command image_release_command = {.name = "image-release",
                                                           .help = "releases of the node image",
                                                           .subcommands = image_release_commands};
    const struct ray_args_command commands[] = {
        cluster_command,       token_command,   node_command,      principal_command,
        guest_command,         image_command,   network_command,   place_command,
        whatif_command,        query_command,   why_command,       doctor_command,
        support_command,       label_command,   events_command,    context_command,
        image_release_command, machine_command, provision_command, policy_command,
        operation_command,
#ifdef RAY_WITH_LAB
        ray_lab_command,
#endif
        completion_command,    version_command, reference_command, {0}};
    static const struct ray_args_option options[] = {CLUSTER_CONTEXT_OPTION, {0}};
    const struct ray_args_command root = {
        .name = "clusterctl", .help = "operates RayOS", .subcommands = commands};

    struct reference_tree tree = {.root = &root, .options = options};

    /* A reader that leaves (| head) is an error of the write, not a death by signal. */
    (void)signal(SIGPIPE, SIG_IGN);
    return ray_args_main(&root, options, RAY_VERSION, argc, argv, &tree);
}
