"""Small servers of videos that can hiccup: HTTP with files and endless streams, RTSP."""

import base64
import contextlib
import re
import socket
import socketserver
import struct
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import av
import cv2
from numbered_videos import SIZE_HW, numbered

FRAME_RATE = 25


class _Server:
    """Answers in threads until the body of its `with` is left."""

    def serve(self, server):
        self._server, self.port = server, server.server_address[1]
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self._stop.set()
        self._server.shutdown()
        self._server.server_close()


class HttpServer(_Server):
    """Serves /street.mp4, in ranges, and endless streams paced by the clock: /live.ts and /live.mjpg.

    Args:
        content: of /street.mp4.
        port: 0: a free one.
        break_after: bytes after which each answer with the file breaks off; None: never.
        live_frames: pictures after which a live answer breaks off; None: never.
        silent_after: pictures after which a live answer says nothing any more; None: never.
    """

    def __init__(self, content=b"", port=0, *, break_after=None, live_frames=None, silent_after=None):
        self.requests = []
        outer, self._stop = self, threading.Event()

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                outer.requests.append((self.path, self.headers.get("Range"), self.headers.get("Authorization")))
                self.close_connection = True
                with contextlib.suppress(OSError, av.FFmpegError):
                    answers = {"/live.ts": self.live, "/live.mjpg": self.pictures}
                    answers.get(self.path.partition("?")[0], self.file)()

            def file(self):
                if not self.path.startswith("/street.mp4"):
                    self.send_error(404)
                    return
                first = int(re.match(r"bytes=(\d+)", self.headers.get("Range", "bytes=0"))[1])
                self.send_response(206)
                self.send_header("Accept-Ranges", "bytes")
                self.send_header("Content-Range", f"bytes {first}-{len(content) - 1}/{len(content)}")
                self.send_header("Content-Length", str(len(content) - first))
                self.end_headers()
                self.wfile.write(content[first:][:break_after])

            def live(self):
                self.send_response(200)
                self.send_header("Content-Type", "video/mp2t")
                self.end_headers()
                with av.open(self.wfile, "w", format="mpegts") as container:
                    stream = add_stream(container)
                    began_at_s, number = time.monotonic(), 0
                    while not outer._stop.is_set() and number != live_frames:
                        if number == silent_after:
                            outer._stop.wait()
                            break
                        number += 1
                        container.mux(stream.encode(picture(number)))
                        time.sleep(max(0, began_at_s + number / FRAME_RATE - time.monotonic()))

            def pictures(self):
                """JPEG after JPEG, ten a second, as small cameras send them."""
                self.send_response(200)
                self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
                self.end_headers()
                for number in range(1, 10_000):
                    content = cv2.imencode(".jpg", numbered(number % 64))[1].tobytes()
                    head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(content)}\r\n\r\n"
                    self.wfile.write(head.encode() + content + b"\r\n")
                    if outer._stop.wait(0.1):
                        break

            def log_message(self, *words):
                pass

        ThreadingHTTPServer.allow_reuse_address = True
        self.serve(ThreadingHTTPServer(("127.0.0.1", port), Handler))


class RtspServer(_Server):
    """One H.264 stream under rtsp://.../live, over TCP, for whoever shows the password.

    Args:
        password: of the user admin.
        port: 0: a free one.
        frames: pictures after which a connection breaks off; None: never.
    """

    def __init__(self, password, port=0, *, frames=None):
        wanted = "Basic " + base64.b64encode(f"admin:{password}".encode()).decode()
        outer, self._stop = self, threading.Event()
        self.refused = 0

        class Handler(socketserver.StreamRequestHandler):
            def handle(self):
                with contextlib.suppress(OSError, av.FFmpegError):
                    while not outer._stop.is_set() and self.answer():
                        pass

            def answer(self):
                lines = []
                while (line := self.rfile.readline().decode().strip()) or not lines:
                    if not line:
                        return False
                    lines.append(line)
                method = lines[0].split()[0]
                headers = dict(line.split(": ", 1) for line in lines[1:])
                number = headers["CSeq"]
                if method != "OPTIONS" and headers.get("Authorization") != wanted:
                    outer.refused += 1
                    self.reply(number, "401 Unauthorized", 'WWW-Authenticate: Basic realm="camera"')
                    return True
                if method == "DESCRIBE":
                    self.reply(number, "200 OK", "Content-Type: application/sdp", body=SDP)
                elif method == "SETUP":
                    transport = f"Transport: {headers['Transport'].split(',')[0]}"
                    self.reply(number, "200 OK", transport, "Session: 1")
                elif method == "PLAY":
                    self.reply(number, "200 OK", "Session: 1")
                    self.play()
                    return False
                else:
                    self.reply(number, "200 OK", "Public: DESCRIBE, SETUP, PLAY, TEARDOWN")
                return method != "TEARDOWN"

            def reply(self, number, status, *headers, body=""):
                words = [f"RTSP/1.0 {status}", f"CSeq: {number}", *headers, f"Content-Length: {len(body)}", "", body]
                self.wfile.write("\r\n".join(words).encode())

            def play(self):
                """PyAV makes the RTP packets; a socket of this machine brings them here, and TCP to the client."""
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as packets:
                    packets.bind(("127.0.0.1", 0))
                    packets.settimeout(0.005)
                    address = f"rtp://127.0.0.1:{packets.getsockname()[1]}?pkt_size=1200"
                    with av.open(address, "w", format="rtp") as container:
                        stream = add_stream(container)
                        number = 0
                        while not outer._stop.is_set() and number != frames:
                            number += 1
                            container.mux(stream.encode(picture(number)))
                            self.forward(packets)
                            time.sleep(1 / FRAME_RATE)

            def forward(self, packets):
                while True:
                    try:
                        packet = packets.recv(2000)
                    except TimeoutError:
                        return
                    self.wfile.write(struct.pack(">cBH", b"$", 0, len(packet)) + packet)

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address = True
            daemon_threads = True

        self.serve(Server(("127.0.0.1", port), Handler))


SDP = "\r\n".join(
    [
        "v=0", "o=- 0 0 IN IP4 127.0.0.1", "s=camera", "c=IN IP4 0.0.0.0", "t=0 0", "a=control:*",
        "m=video 0 RTP/AVP 96", "a=rtpmap:96 H264/90000", "a=fmtp:96 packetization-mode=1", "a=control:track1", "",
    ]
)  # fmt: skip


def add_stream(container):
    """H.264 that a client may join at any tenth picture."""
    options = {"g": "10", "bf": "0", "preset": "ultrafast", "tune": "zerolatency", "x264-params": "repeat-headers=1"}
    stream = container.add_stream("libx264", rate=FRAME_RATE, options=options)
    stream.height, stream.width, stream.pix_fmt = *SIZE_HW, "yuv420p"
    return stream


def picture(number):
    return av.VideoFrame.from_ndarray(numbered(number % 64), format="bgr24").reformat(format="yuv420p")
