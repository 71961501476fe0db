/* net/link_impl.h - what the parts of a link set share; nobody else includes it.
 *
 *   link_set.c     create and destroy, struct ray_link's functions, the end of a turn
 *   link_dial.c    whom we dial, and when again
 *   link_listen.c  the port, and connections in their handshake
 *   link_conn.c    epochs: which connection is the link, records to messages
 *   link_epoch.c, link_former.c    what is said instead to those with whom there is no link
 *   link_queue.c   what waits to be sent
 *   link_uv.c, link_nng.c    the transports: they carry sealed records of one connection
 *
 * Nothing calls the user from within a call of the user: what such a call finds (a send that
 * fails, a peer to end) is noted as a chore for the end of the turn.
 *
 * Memory: peers are freed by the chores alone, so a callback never loses the one it runs for.
 * Threads: the loop's.  Blocks: never.  Trust: see link_peer.h. */
#ifndef RAY_NET_LINK_IMPL_H
#define RAY_NET_LINK_IMPL_H

#include <netinet/in.h>
#include <sys/queue.h>
#include <sys/socket.h>

#include "net/bulk_shake.h"
#include "net/link_item.h"
#include "net/link_peer.h"

enum {
    LINK_BLOCK_SIZE_FIRST = 2 << 10,
    LINK_BLOCK_SIZE_MAX = 256 << 10, /* of plain text, unless one message is larger */
    LINK_PLAIN_SIZE_MAX = RAY_LINK_ITEM_HEAD_SIZE + RAY_LINK_MESSAGE_SIZE_MAX,
    LINK_RECORD_SIZE_MAX = LINK_PLAIN_SIZE_MAX + RAY_SEAL_OVERHEAD_SIZE,
    LINK_SCRATCH_SIZE = 128 << 10,
    LINK_BUCKETS = 256,
    LINK_INSTANCE_SIZE = 8,
    LINK_PAYLOAD_SIZE = 2 + LINK_INSTANCE_SIZE, /* purpose, transport, instance */
    LINK_EPOCH_PAYLOAD_SIZE = 1 + 8,            /* purpose, epoch */
    LINK_REMOVAL_PAYLOAD_SIZE = 1 + 8 + 8,      /* purpose, number, epoch */
};

/* On the wire; never renumbered. */
enum link_transport_code { LINK_TRANSPORT_UV = 1, LINK_TRANSPORT_NNG = 2 };

/* Items that travel as one record. The plain text lies where it is going to be sealed. */
struct link_block {
    struct link_block *next;
    size_t size;     /* of the plain text */
    size_t capacity; /* for it */
    uint8_t bytes[]; /* RAY_SEAL_HEAD_SIZE, capacity, RAY_SEAL_TAG_SIZE */
};

struct link_queue {
    struct link_block *first;
    struct link_block *last;
    size_t size; /* plain text in it */
};

struct link_set;
struct link_peer;

/* One connection that was, is or becomes a peer's link. The transport's struct begins with it. */
struct link_conn {
    struct link_set *set;
    struct link_peer *peer;
    struct ray_seal *seal;
    uint64_t epoch; /* 0: not up yet */
    bool is_opened_here;
    bool is_condemned;                    /* ends at the end of the turn */
    uint8_t instance[LINK_INSTANCE_SIZE]; /* the peer's */
    uint8_t static_key[RAY_KEY_SIZE];     /* the peer's */
};

struct link_transport {
    enum link_transport_code code;
    /* Makes a connection of a descriptor, which is its own on success. It calls link_conn_up when
     * it can send: later, or from within. `fields` are what link_conn.c has set. */
    int (*open)(int fd, const struct link_conn *fields, struct link_conn **out_conn,
                struct ray_err *err);
    /* Starts it: only now may it call back. */
    void (*start)(struct link_conn *conn);
    bool (*can_send)(const struct link_conn *conn);
    /* Seals and sends; the block is the transport's. Only while can_send. */
    void (*send)(struct link_conn *conn, struct link_block *block);
    void (*close)(struct link_conn *conn); /* frees it, too; no callback comes afterwards */
    void (*fini)(struct link_set *set);    /* may be NULL */
};

struct link_peer {
    LIST_ENTRY(link_peer) entry;
    LIST_ENTRY(link_peer) bucket_entry;
    TAILQ_ENTRY(link_peer) dirty_entry;
    struct link_set *set;
    struct ray_id id;
    bool is_added;
    bool is_dirty;
    bool is_unknown;  /* the last dial ended for that */
    bool is_refused;  /* as a member, at the last dial, by somebody at its address */
    bool is_asking;   /* this dial asks why */
    bool is_refusing; /* a send got RAY_EAGAIN: on_writable is due */
    bool is_writable_due;
    struct sockaddr_storage address;
    char address_text[RAY_LINK_ADDRESS_SIZE];
    struct link_conn *conn; /* NULL: down */
    uint64_t up_ns;
    struct link_queue queue;
    size_t sending_size;     /* taken out of the queue and not sent yet */
    struct link_shake *dial; /* NULL: none under way */
    struct ray_timer dial_timer;
    unsigned failed_count;
    char trouble[RAY_ERR_TEXT_SIZE];
};

/* A connection in its handshake. */
struct link_shake {
    TAILQ_ENTRY(link_shake) entry;
    struct link_set *set;
    struct link_peer *peer; /* whom we dial; NULL: somebody came */
    struct ray_bulk_shake *shake;
    struct sockaddr_storage from; /* without its port */
    struct ray_hello guest;       /* as the guests' hook has let it go on */
    bool has_guest;
};

LIST_HEAD(link_peer_list, link_peer);
TAILQ_HEAD(link_dirty_list, link_peer);
TAILQ_HEAD(link_shake_list, link_shake);

struct link_turn; /* libuv's handle */

struct link_set {
    struct ray_link base; /* first */
    const struct link_transport *transport;
    void *transport_state;
    struct ray_loop *loop;
    struct ray_link_config config; /* `listen` is not kept */
    uint8_t instance[LINK_INSTANCE_SIZE];
    uint64_t last_epoch;
    struct link_peer_list peers;
    struct link_peer_list buckets[LINK_BUCKETS];
    size_t peer_count;
    struct link_dirty_list dirty;
    struct link_turn *turn;
    struct ray_timer wake; /* makes a turn when there are chores and nothing else happens */
    bool has_chores;
    bool is_destroying;
    int listen_fd; /* -1: none */
    uint16_t port;
    struct ray_poll listen_poll;
    struct ray_timer accept_pause;
    struct link_shake_list shakes; /* of those who came */
    size_t shake_count;
    uint8_t *scratch; /* LINK_SCRATCH_SIZE, for reading */
};

/* link_set.c */
int link_set_create(struct link_set **out_set, struct ray_loop *loop,
                    const struct link_transport *transport, const struct ray_link_config *config,
                    struct ray_err *err);
void link_set_destroy(struct link_set *set);
void link_set_note_chore(struct link_set *set);
struct link_peer *link_peer_find(const struct link_set *set, const struct ray_id *id);
struct link_peer *link_peer_get(struct link_set *set, const struct ray_id *id); /* NULL: limits */
void link_peer_mark_dirty(struct link_peer *peer);
void link_peer_flush(struct link_peer *peer);

/* link_queue.c */
int link_queue_add(struct link_queue *queue, enum ray_link_channel channel, const uint8_t *bytes,
                   size_t size);
int link_queue_add_empty(struct link_queue *queue);           /* a record of nothing */
struct link_block *link_queue_take(struct link_queue *queue); /* NULL: empty */
void link_queue_clear(struct link_queue *queue);

/* link_dial.c */
int link_address_parse(const char *text, struct sockaddr_storage *out, struct ray_err *err);
socklen_t link_address_size(const struct sockaddr_storage *address);
void link_dial_soon(struct link_peer *peer); /* after a failure, or at first */
void link_dial_now(struct link_peer *peer);
void link_dial_stop(struct link_peer *peer);
int link_dial_init(struct link_peer *peer, struct ray_err *err);
void link_dial_fini(struct link_peer *peer);

/* link_listen.c */
int link_listen(struct link_set *set, const char *address, struct ray_err *err);
void link_listen_stop(struct link_set *set);
void link_shakes_stop(struct link_set *set);
/* Whether they share the places of handshakes that one host has: IPv6 by /64. */
bool link_is_same_host(const struct sockaddr_storage *a, const struct sockaddr_storage *b);
void link_payload(const struct link_set *set, uint8_t out[static LINK_PAYLOAD_SIZE]);

/* link_epoch.c */
/* What goes to a peer of another cluster epoch. */
void link_epoch_terms(const struct link_set *set, struct ray_peer_terms *out);
/* Whether who was proven is at another epoch; then the user hears of it, if it is a later one. */
bool link_epoch_differs(struct link_set *set, const struct ray_peer *proven, bool is_opened_here,
                        uint64_t *out_epoch);

/* link_former.c */
/* Whether the next dial asks why the last one was refused; then it says hello as a former member.
 */
bool link_former_asks(struct link_peer *peer, struct ray_hello *hello);
/* At the door: whether to answer, and what. */
int link_former_terms(const struct link_set *set, const struct ray_hello *hello,
                      struct ray_peer_terms *out, struct ray_err *err);
/* What was answered to us; the user hears of it. */
void link_former_heard(struct link_set *set, const struct ray_peer *proven, struct ray_err *out);

/* link_conn.c */
/* A member has proven itself; takes descriptor and seal. */
void link_conn_offer(struct link_set *set, int fd, struct ray_seal *seal,
                     const struct ray_peer *proven, bool is_opened_here);
void link_conn_condemn(struct link_conn *conn, const char *why);
void link_conn_end(struct link_conn *conn); /* calls the user */

/* What transports call. The first four may be the end of `conn`. */
void link_conn_up(struct link_conn *conn);
/* One whole record, opened in place. False: it has ended, or is about to. */
bool link_conn_receive(struct link_conn *conn, uint8_t *record, size_t size);
void link_conn_failed(struct link_conn *conn, const char *why);
void link_conn_sendable(struct link_conn *conn);
/* Seals a block's text, which lies behind RAY_SEAL_HEAD_SIZE; the record's size, or 0. */
size_t link_conn_seal(struct link_conn *conn, uint8_t *record, size_t plain_size);
void link_conn_sent(struct link_conn *conn, size_t plain_size);

#endif
