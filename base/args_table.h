/* base/args_table.h - the scanner that parsing, help and completion share. Private to
 * base/args.c and base/args_help.c.
 *
 * Memory: everything borrows from the tables and argv.  Threads: one.  Blocks: never.
 * Trust: words are the user's. */
#ifndef RAY_BASE_ARGS_TABLE_H
#define RAY_BASE_ARGS_TABLE_H

#include "base/args.h"

enum ray_args_wish { RAY_ARGS_WISH_RUN, RAY_ARGS_WISH_HELP, RAY_ARGS_WISH_VERSION };

/* State between two words. */
struct ray_args_scan {
    struct ray_args args;
    const struct ray_args_option *pending; /* its value is the next word */
    bool only_positionals;                 /* "--" has been seen */
    enum ray_args_wish wish;
};

void ray_args_scan_init(struct ray_args_scan *scan, const struct ray_args_command *root,
                        const struct ray_args_option *global_options);
/* Takes one word. RAY_EUSAGE leaves the scan usable: completion goes on after it. */
int ray_args_scan_word(struct ray_args_scan *scan, const char *word, struct ray_err *err);
/* After the last word: is anything missing? */
int ray_args_scan_end(struct ray_args_scan *scan, struct ray_err *err);

/* NULL when there is none of that name. */
const struct ray_args_command *ray_args_find_command(const struct ray_args_command *parent,
                                                     const char *name);
/* "clusterctl lab up"; cut when longer; returns out. */
const char *ray_args_path_text(const struct ray_args *args, char *out, size_t out_size);

#endif
