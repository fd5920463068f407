// Package interop tests servers of this repository by the dialogues of the vendor's official
// clients, as they stand on the wire: which handshake, which JSON to the byte, what has to come in
// which frame, how long a frame may be, how a connection ends. The clients themselves are not run here;
// what is said of them is from their sources of mid-2026. The WebSocket below is that of
// github.com/coder/websocket, so that nothing of ours is on both sides.
package interop
