/* clusterctl/cli/output.h - what a verb found, printed as table (also a wide one), json, yaml or
 * name.
 *
 * A verb builds one JSON tree (from a protobuf message, or by hand with yyjson) and prints
 * it; the forms show the same facts. Tables are for people: an object is shown as its
 * values, then one small table for each list in it; a list as a table of its columns.
 * Memory: the caller owns the document.  Threads: one.  Blocks: on the stream.
 * Trust: texts may come from machines and guests: control bytes are escaped in every form. */
#ifndef RAY_CLUSTERCTL_CLI_OUTPUT_H
#define RAY_CLUSTERCTL_CLI_OUTPUT_H

#include <protobuf-c/protobuf-c.h>
#include <stdio.h>
#include <yyjson.h>

#include "base/args.h"
#include "base/err.h"

enum output_form {
    OUTPUT_TABLE,
    OUTPUT_WIDE, /* a table with more columns, where a view has them */
    OUTPUT_JSON,
    OUTPUT_YAML,
    OUTPUT_NAME,
};

#define OUTPUT_CHOICES "table|wide|json|yaml|name"
/* The option -o/--output for a table of options. */
#define OUTPUT_OPTION                                                                              \
    {.name = "output",                                                                             \
     .short_name = 'o',                                                                            \
     .value_name = "FORM",                                                                         \
     .default_value = "table",                                                                     \
     .choices = OUTPUT_CHOICES,                                                                    \
     .help = "how to print"}

/* RAY_EUSAGE when `text` is no form. */
int output_form_parse(const char *text, enum output_form *out, struct ray_err *err);

/* A message as JSON: field names as in the schema, 64-bit numbers as numbers, enums by name,
 * bytes as hex, every field present. Values are copied. NULL when out of memory. */
yyjson_mut_val *output_from_message(yyjson_mut_doc *doc, const ProtobufCMessage *message);

enum output_kind {
    OUTPUT_AS_TEXT,
    OUTPUT_AS_SIZE,    /* bytes: "1.5 GiB" */
    OUTPUT_AS_SECONDS, /* microseconds: "12.3 s" */
    OUTPUT_AS_TIME,    /* microseconds since 1970: "2026-11-21 05:49:03Z"; 0: nothing */
};

struct output_column {
    const char *title; /* "ADDRESS" */
    const char *key;   /* of the object in the list; "a.b": of the object a in it */
    enum output_kind kind;
};

struct output_view {
    const char *list_key; /* the list that matters in the root object; NULL: the root itself */
    const char *name_key; /* what form `name` prints of each entry; NULL: "name" */
    const struct output_column *columns; /* ends with a NULL title; NULL: all keys */
    const struct output_column *wide;    /* behind them in the wide form; NULL: none */
};

/* Prints `root`. view may be NULL: the root object with key "name". RAY_EIO, RAY_ENOMEM. */
int output_print(FILE *stream, enum output_form form, yyjson_mut_val *root,
                 const struct output_view *view, struct ray_err *err);

/* A field `age_ms`: all ones, which means never, become -1. */
yyjson_mut_val *output_age(yyjson_mut_doc *doc, uint64_t age_ms);

/* Both in one: what most verbs end with; reads -o from args, prints errors to stderr.
 * Returns the exit status. */
int output_message(const struct ray_args *args, const ProtobufCMessage *message,
                   const struct output_view *view);

/* The same of a tree that the verb made; NULL: memory was short while it was made. */
int output_tree(const struct ray_args *args, yyjson_mut_val *root, const struct output_view *view);

/* OUTPUT_AS_TIME as text; "" for 0. */
void output_time(uint64_t at_us, char *out, size_t out_size);

/* "clusterctl: text" and "next: step" on stderr; returns the exit status for err's code. */
int output_error(const struct ray_err *err);

#endif
