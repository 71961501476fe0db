"""A network for members: each in a namespace of its own, on a bridge in one more. Needs no rights
beyond those of the build root. What runs in them is the caller's to end; the holders end here."""
import subprocess

SUBNET = "10.77.0"
NOBODY = "02:00:00:00:ff:ff"  # frames for it reach nobody


class Namespace:
    """Lives as long as its holder, a process that does nothing."""

    def __init__(self):
        self.holder = subprocess.Popen(
            ["unshare", "--net", "sh", "-c", "ip link set lo up && echo && exec sleep infinity"],
            stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
        assert self.holder.stdout.readline() == b"\n", "no network namespace could be made"

    def enter(self):
        """What a command line begins with; the command keeps the process id."""
        return ["nsenter", f"--net=/proc/{self.holder.pid}/ns/net", "--"]

    def ip(self, *lines):
        subprocess.run([*self.enter(), "ip", "-batch", "-"], input="\n".join(lines) + "\n",
                       check=True, text=True)

    def end(self):
        self.holder.kill()
        self.holder.wait()
        self.holder.stdout.close()


class Network:
    """Members by name, and whoever is on the bridge (the clients): 10.77.0.254."""

    def __init__(self, names):
        self.names = list(names)
        self.switch = None
        self.nodes = {}
        try:
            self._make()
        except BaseException:
            self.end()
            raise

    def _make(self):
        self.switch = Namespace()
        self.switch.ip("link add name br0 address 02:00:00:00:00:fe type bridge",
                       f"addr add {SUBNET}.254/24 dev br0", "link set br0 up")
        for name in self.names:
            node = self.nodes[name] = Namespace()
            self.switch.ip(f"link add name to-{name} type veth peer name eth0 address {self.mac(name)} "
                           f"netns {node.holder.pid}", f"link set to-{name} master br0 up")
            node.ip("link set eth0 up", f"addr add {self.address(name)}/24 dev eth0")
            for other in self.names:
                if other != name:
                    self._aim(name, other, self.mac(other))

    def mac(self, name):
        return f"02:00:00:00:00:{self.names.index(name) + 1:02x}"

    def address(self, name):
        return f"{SUBNET}.{self.names.index(name) + 1}"

    def _aim(self, sender, receiver, mac):
        self.nodes[sender].ip(
            f"neigh replace {self.address(receiver)} lladdr {mac} dev eth0 nud permanent")

    def cut(self, sender, receiver):
        """Nothing of the sender reaches the receiver; the other direction is as it was."""
        self._aim(sender, receiver, NOBODY)

    def mend(self, sender, receiver):
        self._aim(sender, receiver, self.mac(receiver))

    def split(self, left, right):
        for one in left:
            for other in right:
                self.cut(one, other)
                self.cut(other, one)

    def pull(self, name):
        """Its cable: nobody reaches it, clients neither."""
        self.switch.ip(f"link set to-{name} down")

    def plug(self, name):
        self.switch.ip(f"link set to-{name} up")

    def heal(self):
        for name in self.names:
            self.plug(name)
            for other in self.names:
                if other != name:
                    self.mend(name, other)

    def end(self):
        for namespace in [*self.nodes.values(), self.switch]:
            if namespace is not None:
                namespace.end()
