/* clusterctl/verbs/guest_options.h - the spec of a guest as options of `guest create` and `set`.
 *
 * Memory: what is set lies in the caller's arena, or is argv's.  Threads: one.
 * Blocks: on --file, --user-data, --network-config.
 * Trust: the user's words; the spec is checked as a whole afterwards (net/spec.h). */
#ifndef RAY_CLUSTERCTL_VERBS_GUEST_OPTIONS_H
#define RAY_CLUSTERCTL_VERBS_GUEST_OPTIONS_H

#include "base/arena.h"
#include "base/args.h"
#include "base/err.h"
#include "net/proto/spec.pb-c.h"

/* For a table of options. */
#define GUEST_SPEC_OPTIONS                                                                         \
    {.name = "image", .value_name = "NAME", .help = "what its disk is made of"},                   \
        {.name = "vcpus", .value_name = "N", .help = "virtual CPUs"},                              \
        {.name = "memory", .value_name = "SIZE", .help = "such as 512MiB or 2GiB"},                \
        {.name = "disk", .value_name = "SIZE", .help = "of its disk; else as large as the image"}, \
        {.name = "architecture",                                                                   \
         .value_name = "NAME",                                                                     \
         .choices = "x86_64|aarch64",                                                              \
         .help = "else the image's"},                                                              \
        {.name = "cpu",                                                                            \
         .value_name = "MODEL",                                                                    \
         .choices = "x86-64-v1|x86-64-v2|x86-64-v3|x86-64-v4",                                     \
         .help = "CPU model; else what every node has"},                                           \
        {.name = "network",                                                                        \
         .value_name = "off|NAME...",                                                              \
         .help = "a network card; off: none, which is the default"},                               \
        {.name = "display", .value_name = "off|WIDTHxHEIGHT", .help = "a display; off: none"},     \
        {.name = "autostart",                                                                      \
         .value_name = "WORD",                                                                     \
         .choices = "off|hidden",                                                                  \
         .help = "hidden: it starts with its node and is shown nowhere"},                          \
        {.name = "restart",                                                                        \
         .value_name = "WHERE",                                                                    \
         .choices = "home|elsewhere|never",                                                        \
         .help = "after a failure"},                                                               \
        {.name = "anti-affinity",                                                                  \
         .value_name = "WHAT...",                                                                  \
         .help = "apart from guest:NAME or KEY=VALUE[,domain][,preferred]; none: no more"},        \
        {.name = "affinity",                                                                       \
         .value_name = "WHAT...",                                                                  \
         .help = "together with it, said in the same way"},                                        \
        {.name = "domain", .value_name = "NAME", .help = "failure domain that it stays in"},       \
        {.name = "node-label",                                                                     \
         .value_name = "KEY=VALUE...",                                                             \
         .help = "a label that its nodes have; none: no more"},                                    \
        {.name = "priority", .value_name = "N", .help = "0 to 1000; higher first"},                \
        {.name = "user-data", .value_name = "FILE", .help = "for cloud-init"},                     \
        {.name = "network-config", .value_name = "FILE", .help = "for cloud-init"},                \
        {.name = "kernel-arguments", .value_name = "TEXT", .help = "of a kernel of the image"},    \
        {.name = "description", .value_name = "TEXT", .help = "for people"},                       \
        {.name = "file",                                                                           \
         .value_name = "FILE",                                                                     \
         .help = "the spec as JSON ('guest show -o json' has it); -: stdin; options come on top"}

/* Changes what the options name; with --file, the file is what they change. RAY_EUSAGE,
 * RAY_ENOTFOUND (a file), RAY_ENOMEM. */
int guest_options_apply(const struct ray_args *args, Rayos__Spec__GuestSpec **spec,
                        struct ray_arena *arena, struct ray_err *err);

#endif
