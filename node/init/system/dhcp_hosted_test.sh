#!/bin/bash
# dhcp_hosted_test.sh PROGRAM CONFIG - Debian's own dhcpcd, as the node image has it, with our
# configuration and our rayos-dhcp-event, against dnsmasq: in network, mount and user
# namespaces of their own, without a shell, udev or resolvconf in reach of dhcpcd.
#
# Proves: the lease arrives in /run/rayos/dhcp.json, checked; hostile option values do not;
# a restart of dhcpcd leaves the address alone; no server within its patience does not end it.
# Exit status 77: this machine allows no such namespaces, or the image's packages are not
# there (tools/buildroot ensure target-amd64).
set -euo pipefail

program=$1 config=$2
target=/opt/rayos/target-amd64
fail() { printf 'dhcp: %s\n' "$*" >&2; cat "$work"/*.log >&2 2>/dev/null || true; exit 1; }

if [ "${3-}" != --inner ]; then
    [ -x $target/usr/sbin/dhcpcd ] || { echo "skipped: no $target"; exit 77; }
    # dhcpcd gives up root for user dhcpcd, which needs more than one id: root of the machine.
    [ "$(id -u)" = 0 ] || { echo "skipped: not root here"; exit 77; }
    unshare --net --mount --pid --fork --propagation private true 2>/dev/null ||
        { echo "skipped: no namespaces"; exit 77; }
    exec unshare --net --mount --pid --fork --kill-child --propagation private \
        "$0" "$program" "$config" --inner
fi

work=$(mktemp -d)
mount -t proc proc /proc
mount -t tmpfs run /run
mount -t tmpfs lib /var/lib
mkdir -p /run/rayos /var/lib/dhcpcd
mkdir -m 0555 /var/lib/empty
cp -a /etc "$work/etc"
grep -q ^dhcpcd: /etc/passwd || {
    echo 'dhcpcd:x:902:902::/var/lib/empty:/usr/sbin/nologin' >> "$work/etc/passwd"
    echo 'dhcpcd:x:902:' >> "$work/etc/group"
}
mount --bind "$work/etc" /etc

# The node's end is in a network namespace of its own.
unshare --net sleep infinity & node=$!
trap 'kill $(jobs -p) 2>/dev/null || true; rm -rf "$work"' EXIT
ip link set lo up
ip link add lab0 type veth peer name ray0
for _ in $(seq 200); do
    [ "$(readlink /proc/$node/ns/net)" != "$(readlink /proc/self/ns/net)" ] && break
    sleep 0.01
done
ip link set ray0 netns "$node"
ip addr add 10.77.0.1/24 dev lab0
ip link set lab0 up
in_node() { nsenter -t "$node" -n "$@"; }
in_node ip link set lo up
in_node ip link set ray0 address 52:54:00:77:00:15 up

serve() { # OPTION... - dnsmasq with these options
    dnsmasq --keep-in-foreground --port=0 --interface=lab0 --bind-interfaces --log-facility=- \
        --dhcp-range=10.77.0.20,10.77.0.250,120 --dhcp-leasefile="$work/leases" \
        --dhcp-host=52:54:00:77:00:15,10.77.0.21 --conf-file=/dev/null --pid-file= "$@" \
        >> "$work/dnsmasq.log" 2>&1 &
    server=$!
}
client() {
    nsenter -t "$node" -n env -i LD_LIBRARY_PATH=$target/usr/lib/x86_64-linux-gnu $target/usr/sbin/dhcpcd -B \
        -f "$config" -c "$program" ray0 >> "$work/dhcpcd.log" 2>&1 &
    client=$!
}
stop() { kill "$1" && wait "$1" 2>/dev/null || true; }
wait_for() { # WHAT COMMAND... - 20 s at most
    local what=$1; shift
    for _ in $(seq 200); do "$@" > /dev/null 2>&1 && return; sleep 0.1; done
    fail "waited in vain for $what"
}
has_address() { in_node ip -4 addr show dev ray0 | grep -q "inet 10.77.0.21/24"; }
lease_has() { grep -q "$1" /run/rayos/dhcp.json; }

# No server yet: the client waits on. Then there is one, with some options that lie.
client
sleep 2
kill -0 $client || fail "dhcpcd ended without a server"
serve --dhcp-option=option:router,10.77.0.1 --dhcp-option=option:ntp-server,10.77.0.1,0.0.0.0 \
    --dhcp-option=option:dns-server,10.77.0.1,127.0.0.1 \
    --dhcp-option=15,'lab example' --dhcp-option=option:mtu,1400 \
    --dhcp-option=224,'http://10.77.0.1:8080'
wait_for "the lease" lease_has '"address": "10.77.0.21"'
wait_for "the address" has_address
lease_has '"bound": true' || fail "not bound"
lease_has '"gateway": "10.77.0.1"' || fail "no gateway"
lease_has '"mtu": 1400' || fail "no MTU"
lease_has '"boot_server": "http://10.77.0.1:8080"' || fail "no boot server"
lease_has '"domain": ""' || fail "a domain with a space was taken"
! lease_has '0\.0\.0\.0' || fail "NTP server 0.0.0.0 was taken"
! lease_has '127\.0\.0\.1' || fail "DNS server 127.0.0.1 was taken"

# dhcpcd has given up root; only its small helper keeps it.
ps -o user:20= -p $client | grep -qx 'dhcpcd *' || fail "dhcpcd runs as $(ps -o user= -p $client)"

# A restart leaves the address where it is.
stop $client
has_address || fail "the address went with dhcpcd"
client
wait_for "the lease after a restart" grep -qE "rebinding|leased|REBOOT" "$work/dhcpcd.log"
has_address || fail "the address went at the restart"

# A boot server that would be the node itself is none.
stop $client
stop $server
serve --dhcp-option=224,'http://127.0.0.1:22'
client
wait_for "the lease without boot server" lease_has '"boot_server": ""'

stop $client
stop $server
! grep -qi "not found\|no such file.*sh" "$work/dhcpcd.log" || fail "dhcpcd looked for a shell"
echo "dhcp: lease, hostile options, privileges and restart are as they should be"
