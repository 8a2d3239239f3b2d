"""Remote files as plain binary streams that stand a bad network.

Everything above sees a seekable file. Below it, a cut connection is taken up again at the byte
where it broke (so a compressed stream goes on inside its file), a server that stays away ends the
run with one clear line, and a file that changes while it is read is never mixed with its old self.
"""

from bitnet.data.remote.file import open_remote
from bitnet.data.remote.spec import NetworkSpec
from bitnet.data.remote.stat import stat_many, stat_remote
from bitnet.data.remote.transport import RemoteInfo

__all__ = ["NetworkSpec", "RemoteInfo", "open_remote", "stat_many", "stat_remote"]
