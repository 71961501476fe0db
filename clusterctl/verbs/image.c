/* image.c - records of images; what makes one (import) is not there yet. */
#include "clusterctl/verbs/cluster_call.h"
#include "clusterctl/verbs/complete.h"
#include "clusterctl/verbs/guest.h"
#include "clusterctl/verbs/spec_object.h"

static const struct output_column columns[] = {
    {"NAME", "name", OUTPUT_AS_TEXT},
    {"SIZE", "spec.size_bytes", OUTPUT_AS_SIZE},
    {"ARCHITECTURE", "spec.architecture", OUTPUT_AS_TEXT},
    {"DIGEST", "spec.digest", OUTPUT_AS_TEXT},
    {"REVISION", "revision", OUTPUT_AS_TEXT},
    {0}};

static const struct spec_noun noun = {.name = "image",
                                      .plural = "images",
                                      .kind = RAYOS__REGISTRY__KIND__KIND_IMAGE,
                                      .spec_kind = RAY_SPEC_IMAGE,
                                      .columns = columns};

static const struct ray_args_command commands[] = {{.name = "list",
                                                    .help = "all images",
                                                    .options = cluster_read_options,
                                                    .run = spec_list,
                                                    .subject = &noun},
                                                   {.name = "show",
                                                    .positional = "NAME",
                                                    .positional_min = 1,
                                                    .positional_max = 1,
                                                    .help = "one image, with its last changes",
                                                    .options = cluster_read_options,
                                                    .run = spec_show,
                                                    .subject = &noun,
                                                    .complete = complete_image},
                                                   {.name = "delete",
                                                    .positional = "NAME",
                                                    .positional_min = 1,
                                                    .positional_max = 1,
                                                    .help = "delete an image's record for good",
                                                    .options = spec_delete_options,
                                                    .run = spec_delete,
                                                    .subject = &noun,
                                                    .complete = complete_image},
                                                   {0}};

const struct ray_args_command image_command = {
    .name = "image", .help = "images that guests start from", .subcommands = commands};
