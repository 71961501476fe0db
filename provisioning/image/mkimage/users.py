"""users.list -> etc/passwd and etc/group. '*' stands where a password would: none fits."""
import re

from .errors import ImageError

NAME = re.compile(r"[a-z_][a-z0-9_-]{0,30}\Z")
ID_MAX = 65534


def parse(text, name, image):
    """(passwd, group) as text for the image 'real' or 'test'."""
    users, groups = [], []
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split("#")[0].split()
        if not words:
            continue
        width = {"user": 5, "group": 4}.get(words[0])
        if (len(words) != width or not NAME.match(words[1]) or not words[2].isdigit()
                or int(words[2]) > ID_MAX or words[-1] not in ("both", "real", "test")):
            raise ImageError(f"{name}:{number}: expected 'user NAME ID HOME IMAGE' or "
                             "'group NAME ID IMAGE'")
        if words[-1] not in ("both", image):
            continue
        groups.append((int(words[2]), words[1]))
        if words[0] == "user":
            users.append((int(words[2]), words[1], words[3]))
    for kind, rows in (("user", users), ("group", groups)):
        for column in (0, 1):
            values = [row[column] for row in rows]
            if len(set(values)) != len(values):
                raise ImageError(f"{name}: two {kind}s share a name or a number")
    passwd = "".join(f"{user}:*:{number}:{number}::{home}:/usr/sbin/nologin\n"
                     for number, user, home in sorted(users))
    group = "".join(f"{group}:*:{number}:\n" for number, group in sorted(groups))
    return passwd, group
