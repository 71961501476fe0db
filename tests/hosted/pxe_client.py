"""A machine's side of network boot, run in its network namespace by test_provision.py:

    pxe_client.py dhcp INTERFACE MAC ARCH [CLASS]   one JSON line: what was offered and acknowledged
    pxe_client.py tftp ADDRESS FILE                 the file on standard output, status 1 if refused

DHCP goes by raw frames, because the machine has no address yet.
"""
import json
import socket
import struct
import sys

REPLY_S = 3  # without an answer within this time the server has none
MAGIC = b"\x63\x82\x53\x63"
TRANSACTION = 0x52415953


def checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def frame(mac, options):
    """A broadcast Ethernet frame with a DHCP message."""
    message = struct.pack("!BBBBIHH16x16s64x128x", 1, 1, 6, 0, TRANSACTION, 0, 0x8000, mac)
    message += MAGIC + options + b"\xff"
    udp = struct.pack("!HHHH", 68, 67, 8 + len(message), 0) + message
    head = struct.pack("!BBHHHBBH4x4s", 0x45, 0, 20 + len(udp), 1, 0, 64, 17, 0, b"\xff" * 4)
    head = head[:10] + struct.pack("!H", checksum(head)) + head[12:]
    return b"\xff" * 6 + mac + b"\x08\x00" + head + udp


def option(code, value):
    return bytes([code, len(value)]) + value


def parse_options(data):
    options = {}
    while data and data[0] != 255:
        if data[0] == 0:
            data = data[1:]
            continue
        options[data[0]] = data[2:2 + data[1]]
        data = data[2 + data[1]:]
    return options


def exchange(link, mac, options):
    """Sends a message and returns (address, next server, options) of the answer, or None."""
    link.send(frame(mac, options))
    try:
        while True:
            packet = link.recv(4096)
            reply = packet[42:]
            if packet[23] == 17 and packet[36:38] == b"\x00\x44" and reply[236:240] == MAGIC \
                    and reply[28:34] == mac:
                return (socket.inet_ntoa(reply[16:20]), socket.inet_ntoa(reply[20:24]),
                        parse_options(reply[240:]))
    except TimeoutError:
        return None


def dhcp(interface, mac_text, arch, vendor_class="PXEClient"):
    mac = bytes.fromhex(mac_text.replace(":", ""))
    link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x800))
    link.bind((interface, 0))
    link.settimeout(REPLY_S)
    common = b""
    if arch != "none":
        common = option(93, struct.pack("!H", int(arch)))
        common += option(60, f"{vendor_class}:Arch:{int(arch):05}:UNDI:003016".encode())
    common += option(55, bytes([1, 3, 6, 43, 54, 60, 66, 67]))
    offer = exchange(link, mac, option(53, b"\x01") + common)
    if offer is None:
        return None
    address, server, options = offer
    result = {"address": address, "next_server": server,
              "boot_file": options.get(67, b"").rstrip(b"\0").decode(),
              "router": 3 in options, "acknowledged": False}
    request = option(53, b"\x03") + option(50, socket.inet_aton(address)) + option(54, options[54])
    answer = exchange(link, mac, request + common)
    result["acknowledged"] = answer is not None and answer[2].get(53) == b"\x05"
    return result


def tftp(address, name):
    """RFC 1350 reading, 512 bytes a block; None when the server answers with an error."""
    channel = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
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


def main():
    if sys.argv[1] == "dhcp":
        print(json.dumps(dhcp(*sys.argv[2:])))
        return 0
    content = tftp(*sys.argv[2:])
    if content is None:
        return 1
    sys.stdout.buffer.write(content)
    return 0


if __name__ == "__main__":
    sys.exit(main())
