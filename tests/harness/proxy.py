"""A TCP proxy between two servers, for tests of links: it can be cut, refuse, hold back, and spoil what it forwards.

Entry: Proxy(port).
"""
import socket
import threading

PIECE = 65536


class Proxy:
    """Listens on `port` and forwards each connection to 127.0.0.1:target.

    is_open False: connections are closed at once. spoil: called with the bytes that come from the target and how many came
    before on this connection; what it returns is forwarded, None: the connection is cut. buffers: bytes that the kernel keeps of
    each connection here, 0: as many as it likes.
    """

    def __init__(self, target, spoil=None, buffers=0):
        self.target = target
        self.spoil = spoil
        self.buffers = buffers
        self.is_open = True
        self.flows = threading.Event()  # cleared: nothing is forwarded from the target
        self.flows.set()
        self.accepted = 0
        self.from_target = 0  # bytes, over all connections
        self.pairs = []
        self.lock = threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self._limit(self.listener)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            self.accepted += 1
            if not self.is_open:
                near.close()
                continue
            try:
                far = self._connect()
            except OSError:
                near.close()
                continue
            far.settimeout(None)
            with self.lock:
                self.pairs.append((near, far))
            threading.Thread(target=self._forward, args=(near, far), daemon=True).start()
            threading.Thread(target=self._return, args=(far, near), daemon=True).start()

    def _limit(self, end):
        if self.buffers:
            end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self.buffers)
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, self.buffers)

    def _connect(self):
        far = socket.socket()
        self._limit(far)  # before it connects: what it offers to take depends on it
        far.settimeout(10)
        try:
            far.connect(("127.0.0.1", self.target))
        except OSError:
            far.close()
            raise
        return far

    def _forward(self, near, far):
        try:
            while data := near.recv(PIECE):
                far.sendall(data)
        except OSError:
            pass
        self._end(near, far)

    def _return(self, far, near):
        passed = 0
        try:
            while data := far.recv(PIECE):
                self.flows.wait()
                size = len(data)
                if self.spoil:
                    data = self.spoil(data, passed)
                    if data is None:
                        break
                passed += size
                self.from_target += size
                near.sendall(data)
        except OSError:
            pass
        self._end(near, far)

    @staticmethod
    def _end(*ends):
        for end in ends:
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def cut(self):
        """Ends all connections; new ones are accepted while is_open."""
        with self.lock:
            pairs, self.pairs = self.pairs, []
        for near, far in pairs:
            self._end(near, far)

    def close(self):
        self.is_open = False
        self.listener.close()
        self.flows.set()
        self.cut()
