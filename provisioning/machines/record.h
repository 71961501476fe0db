/* provisioning/machines/record.h - what is known of one machine: what it said, what it was
 * given, how its tries to boot ended.
 *
 * A try begins when a machine was given an image and ends good when its node says `ready`
 * within ten minutes, or failed: nothing came in time, or the machine asked again before.
 * A broken transfer says nothing about the image, nor does silence while the service itself
 * was restarted: such a try ends without a count.
 * Memory: one plain struct, about 10 KiB, the caller's (the table's); copies freely.
 * Threads: one owner.  Blocks: never; time comes from outside.
 * Trust: MAC, facts and hello are what a machine says of itself, never a credential; texts
 * are cut and reduced to printable ASCII on their way in. */
#ifndef RAY_PROVISIONING_MACHINES_RECORD_H
#define RAY_PROVISIONING_MACHINES_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "provisioning/machines/arguments.h"
#include "provisioning/machines/hello.h"
#include "provisioning/pxe/address.h"
#include "provisioning/store/manifest.h"

enum {
    PROVISION_RECORD_EVENT_COUNT_MAX = 64,  /* older ones are forgotten */
    PROVISION_RECORD_IMAGE_COUNT_MAX = 16,  /* images whose results are remembered */
    PROVISION_RECORD_DETAIL_SIZE = 80,      /* with NUL */
    PROVISION_RECORD_FAILURE_COUNT_MAX = 3, /* in a row, then another image is tried */
};

#define PROVISION_RECORD_GOOD_WITHIN_US (UINT64_C(600) * 1000000)

/* X(id, word, explanation); the words are in files and JSON. */
#define PROVISION_RECORD_EVENT_MAP(X)                                                              \
    X(DHCP, "dhcp", "it asked for an address")                                                     \
    X(OFFER, "offer", "it was offered an address")                                                 \
    X(TFTP, "tftp", "a boot file was sent")                                                        \
    X(SCRIPT, "script", "a boot script was sent; detail: what it says")                            \
    X(IMAGE_START, "image-start", "the transfer of an image began; detail: version")               \
    X(IMAGE_DONE, "image-done", "an image was sent whole")                                         \
    X(HELLO_INIT, "hello-init", "its node began to start")                                         \
    X(HELLO_READY, "hello-ready", "its node is ready")                                             \
    X(FAILED, "failed", "a transfer broke off, or a try ended without a node; detail: why")        \
    X(ASSIGNED, "assigned", "an operator changed what it gets")                                    \
    X(REFUSED, "refused", "a request was not served; detail: why")                                 \
    X(FALLBACK, "fallback", "it got another image than the one meant for it; detail: why")         \
    X(IGNORED, "ignored", "a part of its assignment cannot be given; detail: which, why")

enum provision_record_event_kind {
#define PROVISION_RECORD_EVENT_ENUM(id, word, explanation) PROVISION_RECORD_EVENT_##id,
    PROVISION_RECORD_EVENT_MAP(PROVISION_RECORD_EVENT_ENUM)
#undef PROVISION_RECORD_EVENT_ENUM
        PROVISION_RECORD_EVENT_KIND_COUNT
};

/* How the last try stands. X(id, word) */
#define PROVISION_OUTCOME_MAP(X)                                                                   \
    X(UNKNOWN, "unknown") /* nothing was tried, or nobody was there to hear of it */               \
    X(SERVING, "serving") /* it was given an image */                                              \
    X(BOOTED, "booted")   /* its node began to start */                                            \
    X(READY, "ready")                                                                              \
    X(FAILED, "failed")

enum provision_outcome {
#define PROVISION_OUTCOME_ENUM(id, word) PROVISION_OUTCOME_##id,
    PROVISION_OUTCOME_MAP(PROVISION_OUTCOME_ENUM)
#undef PROVISION_OUTCOME_ENUM
        PROVISION_OUTCOME_COUNT
};

/* X(id, word): what an operator wants of a machine. There is no `install`. */
#define PROVISION_WISH_MAP(X)                                                                      \
    X(LIVE, "live")             /* the image, from RAM */                                          \
    X(LOCAL_DISK, "local-disk") /* the firmware's next entry */                                    \
    X(HOLD, "hold")             /* waits and asks again */

enum provision_wish {
#define PROVISION_WISH_ENUM(id, word) PROVISION_WISH_##id,
    PROVISION_WISH_MAP(PROVISION_WISH_ENUM)
#undef PROVISION_WISH_ENUM
        PROVISION_WISH_COUNT
};

enum {
    PROVISION_RECORD_NAME_SIZE = 33, /* [a-z0-9-]{1,32}, of machines and groups */
    PROVISION_RECORD_HINT_SIZE = 65,
    PROVISION_RECORD_WORD_SIZE = 24, /* [a-z0-9-]{1,23} */
};

/* Both clocks are always set. The wall clock is what is stored and shown; spans of one run of the
 * service are measured by the monotonic one, so that a clock set by years changes no result. */
struct provision_time {
    uint64_t real_us; /* since 1970 */
    uint64_t mono_us;
};

struct provision_time provision_time_now(void);

/* What an operator has set, for a machine or for a group. */
struct provision_assignment {
    bool is_set;
    enum provision_wish wish;
    char image_id[PROVISION_SHA256_TEXT_SIZE]; /* ""; the newest; only for LIVE */
    char arguments[PROVISION_ARGUMENTS_SIZE];  /* "" or words that provision_arguments_check took */
};

/* An image as a machine is given it. */
struct provision_image_ref {
    char id[PROVISION_SHA256_TEXT_SIZE];
    char version[PROVISION_VERSION_SIZE];
    char efi_sha256[PROVISION_SHA256_TEXT_SIZE]; /* of rayos.efi; "" not known */
};

/* What came of one image on this machine. */
struct provision_record_image {
    char id[PROVISION_SHA256_TEXT_SIZE];
    uint32_t failure_count; /* tries in a row */
    uint64_t tried_us;      /* wall clock of the last try */
    uint64_t good_us;       /* wall clock of the last good end; 0: never good */
};

struct provision_record_event {
    uint64_t sequence; /* counts the events of this machine from 1 */
    uint64_t at_us;    /* wall clock; of the last one, when it is several */
    uint32_t count;    /* equal ones in a row are one with a count */
    enum provision_record_event_kind kind;
    char detail[PROVISION_RECORD_DETAIL_SIZE];
};

/* The last try. image.id is "" when there was none. */
struct provision_record_try {
    struct provision_image_ref image;
    bool is_open;   /* neither good nor failed yet */
    bool is_broken; /* its last transfer broke off */
    uint64_t at_us;
    uint64_t mono_us;     /* when the ten minutes began; 0: not yet in this run; not stored */
    bool was_interrupted; /* the service was restarted since */
    char old_boot_id[PROVISION_HELLO_BOOT_ID_SIZE]; /* hellos of that boot do not count */
};

/* What a machine said of itself in DHCP, by its script request or in a hello. */
struct provision_record_facts {
    char arch[PROVISION_RECORD_WORD_SIZE]; /* "x64-uefi-pxe" as pxe/arch.h names them */
    char uuid[PROVISION_RECORD_HINT_SIZE];
    char serial[PROVISION_RECORD_HINT_SIZE];
    char vendor[PROVISION_RECORD_HINT_SIZE];
    char product[PROVISION_RECORD_HINT_SIZE];
    char cpu[PROVISION_RECORD_HINT_SIZE];
    uint64_t memory_bytes;
    uint32_t disk_count;
};

struct provision_record {
    struct provision_mac mac;
    char name[PROVISION_RECORD_NAME_SIZE];  /* by the operator; "" none */
    char group[PROVISION_RECORD_NAME_SIZE]; /* "" none */
    struct provision_assignment assignment;
    struct provision_record_facts facts;
    char node_name[PROVISION_RECORD_NAME_SIZE]; /* by its hello, as the next four */
    char fingerprint[PROVISION_HELLO_FINGERPRINT_SIZE];
    char words[PROVISION_HELLO_WORDS_SIZE];
    char boot_id[PROVISION_HELLO_BOOT_ID_SIZE];
    bool boot_is_ready; /* `ready` was heard of boot_id */
    char running_version[PROVISION_VERSION_SIZE];
    uint64_t first_seen_us;
    uint64_t last_seen_us;
    enum provision_outcome outcome;
    struct provision_record_try last_try;
    struct provision_record_image images[PROVISION_RECORD_IMAGE_COUNT_MAX];
    size_t image_count;
    struct provision_record_event events[PROVISION_RECORD_EVENT_COUNT_MAX]; /* oldest first */
    size_t event_count;
    uint64_t sequence; /* of the last event */
};

void provision_record_init(struct provision_record *record, const struct provision_mac *mac,
                           const struct provision_time *now);

/* Adds to the timeline; `detail` may be foreign bytes and may be NULL. */
void provision_record_add(struct provision_record *record, enum provision_record_event_kind kind,
                          const char *detail, const struct provision_time *now);

/* Fields of `facts` that say something (not "", not 0) replace what was known.
 * Returns whether anything changed. */
bool provision_record_learn(struct provision_record *record,
                            const struct provision_record_facts *facts);

/* An image was given: its script was sent whole, or the firmware fetches it by itself. A try
 * that was open ends failed, because the machine asks again. */
void provision_record_try_begin(struct provision_record *record,
                                const struct provision_image_ref *image,
                                const struct provision_time *now);
/* A transfer of the open try began, was completed, or broke off. */
void provision_record_image_start(struct provision_record *record,
                                  const struct provision_time *now);
void provision_record_image_done(struct provision_record *record, const struct provision_time *now);
void provision_record_image_broken(struct provision_record *record, const char *why,
                                   const struct provision_time *now);
/* Ends an open try that took longer than PROVISION_RECORD_GOOD_WITHIN_US; true when it did. The
 * ten minutes of a try that was loaded from its file begin at the first call. */
bool provision_record_expire(struct provision_record *record, const struct provision_time *now);

/* Takes a hello of this machine: facts, timeline, the end of the open try. A hello that was
 * heard before (equal boot id and phase) changes only last_seen; one of another image than
 * the one given, or of an older boot, ends no try good. Returns whether the open try ended good. */
bool provision_record_hello(struct provision_record *record, const struct provision_hello *hello,
                            const struct provision_time *now);

/* The results of one image on this machine; NULL when it was never tried or is forgotten. */
const struct provision_record_image *
provision_record_find_image(const struct provision_record *record, const char *image_id);
/* Gives an image new tries: the operator asks for it again. */
void provision_record_forgive(struct provision_record *record, const char *image_id);

/* Whether an operator has said anything of this machine: such a record never gives way. */
bool provision_record_is_known(const struct provision_record *record);

/* Whether there is an image for machines that boot so; "" (it did not say) is taken for one. */
bool provision_record_is_served_arch(const char *arch);

/* [a-z0-9-]{1,32}, neither first nor last a '-'. */
bool provision_record_is_name(const char *text);

/* An assignment that may be stored: is_set, an image only where one is booted, arguments of the
 * allow-list. RAY_EINVAL says what is wrong. */
int provision_assignment_check(const struct provision_assignment *assignment, struct ray_err *err);

/* Copies printable ASCII of a foreign text, at most out_size - 1; other bytes become '?'. */
void provision_hint_copy(char *out, size_t out_size, const char *text);

const char *provision_record_event_word(enum provision_record_event_kind kind);
const char *provision_outcome_word(enum provision_outcome outcome);
const char *provision_wish_word(enum provision_wish wish);
/* The other way; RAY_EINVAL for a word that is none. */
int provision_record_event_parse(const char *word, enum provision_record_event_kind *out);
int provision_outcome_parse(const char *word, enum provision_outcome *out);
int provision_wish_parse(const char *word, enum provision_wish *out);

#endif
