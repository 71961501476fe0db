/* clusterctl/lab/switch_mac.h - which port a MAC address was last seen on.
 *
 * A set-associative table: when a set is full, the address that was silent longest leaves,
 * and its frames are flooded until it speaks again: correct, only slower.
 * Memory: fixed, the caller's.  Threads: one owner.  Blocks: never (pure).
 * Trust: addresses come from machines; inventing many only evicts others. */
#ifndef RAY_LAB_SWITCH_MAC_H
#define RAY_LAB_SWITCH_MAC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { RAY_SWITCH_MAC_SET_COUNT = 256, RAY_SWITCH_MAC_WAY_COUNT = 4 };

struct ray_switch_mac_entry {
    uint64_t mac; /* 0: free; the low 48 bits */
    uint64_t seen_ns;
    uint16_t port_index;
};

struct ray_switch_mac_table {
    struct ray_switch_mac_entry entries[RAY_SWITCH_MAC_SET_COUNT][RAY_SWITCH_MAC_WAY_COUNT];
};

void ray_switch_mac_init(struct ray_switch_mac_table *table);

/* Broadcast and multicast: never learned, always flooded. */
bool ray_switch_mac_is_group(const uint8_t mac[static 6]);

/* Group addresses and the all-zero address are ignored. */
void ray_switch_mac_learn(struct ray_switch_mac_table *table, const uint8_t mac[static 6],
                          uint16_t port_index, uint64_t now_ns);

/* true: *out_port_index is set. */
bool ray_switch_mac_find(const struct ray_switch_mac_table *table, const uint8_t mac[static 6],
                         uint16_t *out_port_index);

void ray_switch_mac_forget_port(struct ray_switch_mac_table *table, uint16_t port_index);
size_t ray_switch_mac_count(const struct ray_switch_mac_table *table);

#endif
