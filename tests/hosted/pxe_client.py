"""A machine's side of network boot, run in its network namespace by test_provision.py:

    pxe_client.py dhcp MAC ARCH [CLASS [USERCLASS]]   one JSON line: what was offered and
                                                      acknowledged
    pxe_client.py offers COUNT MAC ARCH [CLASS [USERCLASS]]  all offers, at most COUNT of them
    pxe_client.py proxy SERVER MAC ARCH [CLASS]       what the server names at port 4011
    pxe_client.py request SERVER MAC ADDRESS          takes the offer of one of several servers
    pxe_client.py dhcp6 MAC ARCH CLASS                DHCPv6: the URL of the boot file
    pxe_client.py tftp ADDRESS FILE                   the file on standard output, status 1 if
                                                      refused

DHCP goes by raw frames, because the machine has no address yet, over every card of the
namespace: two networks with a server each look like one with two servers.
"""
import json
import os
import select
import socket
import struct
import sys
import time

REPLY_S = 3  # without an answer within this time the server has none
MAGIC = b"\x63\x82\x53\x63"
SITE_OPTION = 224


def checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def option(code, value):
    return bytes([code, len(value)]) + value


def message(mac, options, transaction, client=b"\0\0\0\0"):
    return struct.pack("!BBBBIHH4s12s16s64x128x", 1, 1, 6, 0, transaction, 0, 0x8000, client, b"",
                       mac) + MAGIC + options + b"\xff"


def frame(mac, content):
    """A broadcast Ethernet frame with a DHCP message."""
    udp = struct.pack("!HHHH", 68, 67, 8 + len(content), 0) + content
    head = struct.pack("!BBHHHBBH4x4s", 0x45, 0, 20 + len(udp), 1, 0, 64, 17, 0, b"\xff" * 4)
    head = head[:10] + struct.pack("!H", checksum(head)) + head[12:]
    return b"\xff" * 6 + mac + b"\x08\x00" + head + udp


def parse_options(data):
    options = {}
    while data and data[0] != 255:
        if data[0] == 0:
            data = data[1:]
            continue
        options[data[0]] = data[2:2 + data[1]]
        data = data[2 + data[1]:]
    return options


class Answer:
    """What is of interest in a server's message."""

    def __init__(self, reply):
        self.options = parse_options(reply[240:])
        self.address = socket.inet_ntoa(reply[16:20])
        self.next_server = socket.inet_ntoa(reply[20:24])
        self.server = socket.inet_ntoa(self.options.get(54, bytes(4)))
        self.file = (self.options.get(67) or reply[108:236]).split(b"\0")[0].decode()
        self.kind = self.options.get(53, b"\0")[0]

    def facts(self):
        vendor_options = parse_options(self.options.get(43, b""))
        return {"address": self.address, "server": self.server, "next_server": self.next_server,
                "boot_file": self.file, "router": 3 in self.options,
                "class": self.options.get(60, b"").decode(),
                "boot_server": self.options.get(SITE_OPTION, b"").decode(),
                "discovery": vendor_options.get(6, b"\0")[0]}


class Links:
    """All cards of the namespace as one."""

    def __init__(self, mac_text):
        self.mac = bytes.fromhex(mac_text.replace(":", ""))
        self.transaction = int.from_bytes(os.urandom(4), "big") | 1
        self.sockets = []
        for _, name in socket.if_nameindex():
            if name.startswith("eth"):
                link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x800))
                link.bind((name, 0))
                self.sockets.append(link)

    def send(self, options):
        for link in self.sockets:
            link.send(frame(self.mac, message(self.mac, options, self.transaction)))

    def answers(self):
        """Answers to this machine until none has come for a while."""
        end = time.monotonic() + REPLY_S
        while True:
            ready, _, _ = select.select(self.sockets, [], [], max(0, end - time.monotonic()))
            if not ready:
                return
            for link in ready:
                packet = link.recv(4096)
                reply = packet[42:]
                if packet[23] == 17 and packet[36:38] == b"\x00\x44" \
                        and reply[236:240] == MAGIC and reply[28:34] == self.mac \
                        and reply[4:8] == struct.pack("!I", self.transaction):
                    yield Answer(reply)


def client_options(arch, vendor_class="PXEClient", user_class=None):
    options = b""
    if arch != "none":
        options += option(93, struct.pack("!H", int(arch)))
        options += option(94, b"\x01\x03\x10") + option(97, bytes(17))
        options += option(60, f"{vendor_class}:Arch:{int(arch):05}:UNDI:003016".encode())
    if user_class is not None:
        options += option(77, user_class.encode())
    return options + option(55, bytes([1, 3, 6, 43, 54, 60, 66, 67, SITE_OPTION]))


def dhcp(mac, arch, *classes):
    links = Links(mac)
    common = client_options(arch, *classes)
    links.send(option(53, b"\x01") + common)
    offer = next(links.answers(), None)
    if offer is None:
        return None
    links.send(option(53, b"\x03") + option(50, socket.inet_aton(offer.address))
               + option(54, offer.options[54]) + common)
    answer = next(links.answers(), None)
    return offer.facts() | {"acknowledged": answer is not None and answer.kind == 5}


def offers(count, mac, arch, *classes):
    links = Links(mac)
    links.send(option(53, b"\x01") + client_options(arch, *classes))
    found = []
    for answer in links.answers():
        found.append(answer.facts())
        if len(found) == int(count):
            break
    return found


def request(server, mac, address):
    links = Links(mac)
    links.send(option(53, b"\x03") + option(50, socket.inet_aton(address))
               + option(54, socket.inet_aton(server)) + client_options("none"))
    return sorted(answer.kind for answer in links.answers())


def proxy(server, mac_text, arch, *classes):
    """As UEFI does it: the second half of proxyDHCP, by unicast from its own address."""
    mac = bytes.fromhex(mac_text.replace(":", ""))
    channel = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    channel.settimeout(REPLY_S)
    channel.bind(("", 68))
    channel.connect((server, 4011))
    own = socket.inet_aton(channel.getsockname()[0])
    channel.send(message(mac, option(53, b"\x03") + client_options(arch, *classes), 7, own))
    try:
        return Answer(channel.recv(4096)).facts()
    except TimeoutError:
        return None


def option6(code, value):
    return struct.pack("!HH", code, len(value)) + value


def parse_options6(data):
    options = {}
    while len(data) >= 4:
        code, size = struct.unpack("!HH", data[:4])
        options[code] = data[4:4 + size]
        data = data[4 + size:]
    return options


def dhcp6(mac_text, arch, vendor_class):
    """Solicit; what the server advertises."""
    mac = bytes.fromhex(mac_text.replace(":", ""))
    content = b"\x01" + os.urandom(3) + option6(1, b"\0\x03\0\x01" + mac)
    content += option6(3, b"\0\0\0\x01" + bytes(8)) + option6(61, struct.pack("!H", int(arch)))
    text = vendor_class.encode()
    content += option6(16, struct.pack("!IH", 343, len(text)) + text)
    content += option6(6, struct.pack("!HH", 59, 16)) + option6(8, b"\0\0")
    channel = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    channel.settimeout(REPLY_S)
    channel.bind(("::", 546))
    channel.sendto(content, ("ff02::1:2", 547, 0, socket.if_nametoindex("eth0")))
    try:
        options = parse_options6(channel.recv(4096)[4:])
    except TimeoutError:
        return None
    return {"url": options.get(59, b"").decode(), "class": options.get(16, b"")[6:].decode(),
            "address": socket.inet_ntop(socket.AF_INET6, options[3][16:32])}


def tftp(address, name):
    """RFC 1350 reading, 512 bytes a block; None when the server answers with an error."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    channel = socket.socket(family, socket.SOCK_DGRAM)
    channel.settimeout(REPLY_S)
    channel.sendto(b"\0\1" + name.encode() + b"\0octet\0", (address, 69))
    content = b""
    while True:
        packet, peer = channel.recvfrom(2048)
        if packet[:2] != b"\0\3":
            return None
        block = struct.unpack("!H", packet[2:4])[0]
        if block == (len(content) // 512 + 1) & 0xffff:
            content += packet[4:]
        channel.sendto(b"\0\4" + packet[2:4], peer)
        if len(packet) < 516:
            return content


VERBS = {"dhcp": dhcp, "offers": offers, "proxy": proxy, "request": request, "dhcp6": dhcp6}


def main():
    if sys.argv[1] in VERBS:
        print(json.dumps(VERBS[sys.argv[1]](*sys.argv[2:])))
        return 0
    content = tftp(*sys.argv[2:])
    if content is None:
        return 1
    sys.stdout.buffer.write(content)
    return 0


if __name__ == "__main__":
    sys.exit(main())
