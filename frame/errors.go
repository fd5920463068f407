package frame

import (
	"errors"
	"fmt"

	"github.com/gobwas/ws"
)

// What a peer can do wrong for which gobwas/ws has no error of its own. Together with its
// ws.ErrProtocol... and ws.ErrHeaderLengthMSB they are what CloseError.Err says of a
// connection that the Framer failed.
var (
	// ErrLength: the length of a frame is not in its shortest encoding (code 1002;
	// RFC 6455, section 5.2).
	ErrLength = errors.New("length is not in its shortest encoding")
	// ErrCloseBody: a close frame has a body of one byte (code 1002; section 5.5.1).
	ErrCloseBody = errors.New("close frame with a body of one byte")
	// ErrUTF8: text is not valid UTF-8 (code 1007; section 8.1). Framer.Send returns it too.
	ErrUTF8 = errors.New("text is not valid UTF-8")
	// ErrTooBig: a message is longer than Config.MaxMessage (code 1009).
	ErrTooBig = errors.New("message is too big")
)

// Misuse of the methods of a Framer that send.
var (
	// ErrCloseSent: nothing may follow a close frame of ours.
	ErrCloseSent = errors.New("close frame was already sent")
	// ErrOpCode: only text and binary messages can be sent.
	ErrOpCode = errors.New("message is neither text nor binary")
)

// CloseError is how a WebSocket connection ended: by the close frame of the peer, or by
// ours because the peer broke the protocol. It unwraps to Err.
type CloseError struct {
	Code   ws.StatusCode // 1005 (ws.StatusNoStatusRcvd) if the peer's close frame carried none
	Reason string        // the peer's, or the one we gave it
	Local  bool          // we failed the connection; otherwise the peer closed it
	Err    error         // what the peer did wrong; nil when the peer closed and all went well
}

// Error names the side that closed, the code, and why.
func (e *CloseError) Error() string {
	if e.Local {
		return fmt.Sprintf("websocket failed with %d: %v", e.Code, e.Err)
	}
	s := fmt.Sprintf("websocket closed by peer with %d", e.Code)
	if e.Reason != "" {
		s += fmt.Sprintf(" %q", e.Reason)
	}
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap returns e.Err.
func (e *CloseError) Unwrap() error { return e.Err }
